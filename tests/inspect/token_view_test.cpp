#include "inspect/token_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

/// A vocabulary with the merges of "cat": ids 512 "at</w>", 513 "cat</w>", start 514, end 515.
ModelFacts toy_model(bool has_two_encoders = true) {
  return {{}, make_sdxl_noise_schedule(), {"a t</w>\nc at</w>\n", "toy"}, has_two_encoders};
}

TEST(TokenView, ShowsIdsWithTheirSpelling) {
  const TokenView view = view_tokens("cat at", toy_model());
  EXPECT_EQ(view.vocab_size, 516);
  ASSERT_EQ(view.encoders.size(), 2u);
  for (const EncoderTokens& encoder : view.encoders) {
    ASSERT_EQ(encoder.chunks.size(), 1u);
    ASSERT_EQ(encoder.chunks[0].size(), 2u);
    EXPECT_EQ(encoder.chunks[0][0].id, 513);
    EXPECT_EQ(encoder.chunks[0][0].text, "cat</w>");
    EXPECT_EQ(encoder.chunks[0][1].text, "at</w>");
  }
  EXPECT_EQ(view.encoders[0].pad_id, 515) << "CLIP-L: the end token";
  EXPECT_EQ(view.encoders[1].pad_id, 0) << "bigG";
}

TEST(TokenView, LongPromptsHaveChunksOf75) {
  std::string prompt;
  for (int i = 0; i < 76; ++i) prompt += "cat ";
  const TokenView view = view_tokens(prompt, toy_model());
  ASSERT_EQ(view.encoders[0].chunks.size(), 2u);
  EXPECT_EQ(view.encoders[0].chunks[0].size(), 75u);
  EXPECT_EQ(token_table(view).rows.back()[0], "2");
  EXPECT_THAT(token_summary(view), HasSubstr("76 tokens in 2 chunks"));
}

TEST(TokenView, WeightsStandBesideTheirTokensByTheDialect) {
  const auto tokens = [](Dialect dialect) {
    return view_tokens("(cat:1.5) [at] <lora:x:1>", toy_model(), dialect).encoders[0].chunks[0];
  };
  ASSERT_EQ(tokens(Dialect::kFourstep).size(), 2u);
  EXPECT_EQ(tokens(Dialect::kFourstep)[0].weight, 1.5);
  EXPECT_NEAR(tokens(Dialect::kFourstep)[1].weight, 1 / 1.1, 1e-12);
  EXPECT_GT(tokens(Dialect::kComfy).size(), 2u) << "brackets and tags are text";
}

TEST(TokenView, OneEncoderIsOne) {
  const auto json = json_from(view_tokens("cat", toy_model(/*has_two_encoders=*/false)));
  ASSERT_EQ(json["encoders"].size(), 1u);
  EXPECT_EQ(json["encoders"][0]["chunks"][0][0]["token"], "cat</w>");
}

TEST(ModelFacts, AreThoseOfTheFile) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_sdxl(folder.path() / "tiny.safetensors");
  Request request;
  request.model = (folder.path() / "tiny.safetensors").string();
  const ModelFacts facts = model_facts(request);
  EXPECT_EQ(facts.traits.file_name, "tiny.safetensors");
  EXPECT_TRUE(facts.has_two_encoders);
  EXPECT_THAT(facts.vocabulary.source, HasSubstr("tiny.safetensors"));
}

}  // namespace
}  // namespace fourstep
