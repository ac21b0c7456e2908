#include "lora/bundled_embeddings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

void expect_bundled(const std::string& key, const std::string& name, const std::string& part) {
  const auto split = split_bundled_key(key);
  ASSERT_TRUE(split) << key;
  EXPECT_EQ(split->name, name);
  EXPECT_EQ(split->part, part);
}

TEST(BundledEmbeddings, EveryFormOfKeyHasANameAndAPart) {
  expect_bundled("bundle_emb.mytok.clip_l", "mytok", "clip_l");
  expect_bundled("bundle_emb.mytok.clip_g", "mytok", "clip_g");
  expect_bundled("bundle_emb.mytok.emb_params", "mytok", "emb_params");
  expect_bundled("bundle_emb.mytok.string_to_param.*", "mytok", "*");
  expect_bundled("bundle_emb.mytok.<mytok>", "mytok", "<mytok>");
  expect_bundled("bundle_emb.mytok.clip_l_out", "mytok", "clip_l_out");
}

TEST(BundledEmbeddings, NamesMayHaveDotsAndBlanks) {
  expect_bundled("bundle_emb.my cat v1.5.clip_g", "my cat v1.5", "clip_g");
  expect_bundled("bundle_emb.v1.5.string_to_param.*", "v1.5", "*");
}

TEST(BundledEmbeddings, OtherKeysAreNone) {
  for (const char* key :
       {"bundle_emb.mytok", "bundle_emb..clip_l", "bundle_emb.", "x.clip_l", "bundle_emb.mytok."}) {
    EXPECT_FALSE(split_bundled_key(key)) << key;
  }
}

TEST(BundledEmbeddings, KeysAreWrittenAsTheyWereRead) {
  NamedTensors tensors;
  for (const char* key :
       {"bundle_emb.a.b.clip_l", "bundle_emb.c.emb_params", "bundle_emb.d e.string_to_param.*"}) {
    tensors[key] = torch::ones({2, 4});
  }
  BundledEmbeddings embeddings;
  for (const auto& [key, tensor] : tensors) {
    const auto split = split_bundled_key(key);
    embeddings[split->name][split->part] = tensor;
  }
  EXPECT_EQ(shapes_of(bundled_tensors(embeddings)), shapes_of(tensors));
}

TEST(BundledEmbeddings, EqualOnesJoinAndOthersOfTheSameNameAreRefused) {
  BundledEmbeddings all{{"cat", {{"clip_l", torch::ones({2, 4})}}}};
  add_embeddings(all,
                 {{"cat", {{"clip_l", torch::ones({2, 4}, torch::kHalf)}}},
                  {"dog", {{"clip_l", torch::ones({1, 4})}}}},
                 "b.safetensors");
  EXPECT_EQ(names_text(all), "cat, dog");
  for (const Tensor& other : {torch::zeros({2, 4}), torch::ones({1, 4})}) {
    const auto add = [&] { add_embeddings(all, {{"cat", {{"clip_l", other}}}}, "c.safetensors"); };
    EXPECT_THAT(message_of<InvalidRequest>(add),
                ::testing::AllOf(HasSubstr("c.safetensors"), HasSubstr("\"cat\"")));
  }
}

}  // namespace
}  // namespace fourstep
