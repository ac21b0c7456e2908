#include "pipeline/tokenizer_files.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/tiny_model.h"
#include "text/bpe.h"

namespace fourstep {
namespace {

/// The tiny vocabulary has four merges behind 512 byte tokens; "a", "t</w>" and their place come from the layout.
TEST(TokenizerFiles, HoldTheVocabularyOfTheModel) {
  const auto files = tokenizer_files(testing::tiny_sdxl());
  const auto vocabulary = nlohmann::json::parse(files.at("tokenizer/vocab.json"));
  EXPECT_EQ(vocabulary.size(), 518U);
  EXPECT_EQ(vocabulary.at("!"), 0);
  EXPECT_EQ(vocabulary.at("!</w>"), 256);
  EXPECT_EQ(vocabulary.at("at</w>"), 512);
  EXPECT_EQ(vocabulary.at("fox</w>"), 515);
  EXPECT_EQ(vocabulary.at("<|startoftext|>"), 516);
  EXPECT_EQ(vocabulary.at("<|endoftext|>"), 517);
  EXPECT_EQ(files.at("tokenizer_2/merges.txt"),
            "#version: 0.2\na t</w>\nc at</w>\nf o\nfo x</w>\n");
  EXPECT_EQ(nlohmann::json::parse(files.at("tokenizer_2/tokenizer_config.json")).at("pad_token"),
            "!");
  EXPECT_EQ(nlohmann::json::parse(files.at("tokenizer/tokenizer_config.json")).at("pad_token"),
            "<|endoftext|>");
}

TEST(TokenizerFiles, MergesBeyondThoseThatCountAreLeftOut) {
  Checkpoint model = testing::tiny_sdxl();
  model.merges_text = "a t</w>\nc at</w>";
  EXPECT_EQ(tokenizer_files(model).at("tokenizer/merges.txt"), "#version: 0.2\na t</w>\nc at</w>");
}

}  // namespace
}  // namespace fourstep
