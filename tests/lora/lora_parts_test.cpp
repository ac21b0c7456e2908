#include "lora/lora_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "lora/relative_change.h"
#include "support/files.h"

namespace fourstep {

namespace {

using ::testing::HasSubstr;
using testing::message_of;

LoraParts parts_of(const std::map<LoraRole, Tensor>& tensors) {
  LoraParts parts;
  for (const auto& [role, tensor] : tensors) parts[role] = tensor;
  return parts;
}

std::string refusal_of(const std::map<LoraRole, Tensor>& tensors) {
  return message_of<Error>([&] { weight_module(parts_of(tensors), "x.safetensors: m"); });
}

TEST(LoraParts, GloraOfTheOldOrderIsTheSameModule) {
  const Tensor a1 = torch::randn({6, 2}), a2 = torch::randn({2, 6});
  const Tensor b1 = torch::randn({4, 2}), b2 = torch::randn({2, 6}), w = torch::randn({4, 6});
  const auto today = weight_module(parts_of({{LoraRole::kGloraA1, a1},
                                             {LoraRole::kGloraA2, a2},
                                             {LoraRole::kGloraB1, b1},
                                             {LoraRole::kGloraB2, b2}}),
                                   "");
  const auto old = weight_module(parts_of({{LoraRole::kGloraA1, a2},
                                           {LoraRole::kGloraA2, a1},
                                           {LoraRole::kGloraB1, b2},
                                           {LoraRole::kGloraB2, b1}}),
                                 "");
  EXPECT_TRUE(torch::equal(relative_change(*today, w, 1), relative_change(*old, w, 1)));
  const Tensor expected = torch::mm(torch::mm(w, a1), a2) + torch::mm(b1, b2);
  EXPECT_TRUE(torch::allclose(relative_change(*today, w, 1), expected, 1e-5, 1e-5));
}

TEST(LoraParts, BrokenKindsAreRefusedInOneSentence) {
  const Tensor square = torch::zeros({4, 4});
  EXPECT_THAT(refusal_of({{LoraRole::kGloraA1, square}}), HasSubstr("m: its a2 is missing"));
  EXPECT_THAT(refusal_of({{LoraRole::kGloraA1, torch::zeros({6, 2})},
                          {LoraRole::kGloraA2, torch::zeros({3, 6})},
                          {LoraRole::kGloraB1, torch::zeros({4, 2})},
                          {LoraRole::kGloraB2, torch::zeros({2, 6})}}),
              HasSubstr("a2 [3,6], b1 [4,2]"));
  for (const Shape& shape : {Shape{4, 4}, Shape{2, 4, 3}, Shape{2, 3, 4, 4}, Shape{1, 3, 3, 3},
                             Shape{40, 4, 4, 4}, Shape{2, 2, 2, 2, 2}}) {
    EXPECT_THAT(refusal_of({{LoraRole::kOftBlocks, torch::zeros(shape)}}),
                HasSubstr("oft_blocks has shape"))
        << shape;
  }
  EXPECT_THAT(refusal_of({{LoraRole::kOftBlocks, torch::zeros({2, 3, 3})},
                          {LoraRole::kRescale, torch::ones({5, 1})}}),
              HasSubstr("expected 6 numbers"));
  EXPECT_THAT(refusal_of({{LoraRole::kOnInput, torch::tensor(1)}}), HasSubstr("IA3"));
  EXPECT_THAT(refusal_of({{LoraRole::kOnInput, torch::tensor(1)}, {LoraRole::kWeight, square}}),
              HasSubstr("the weight of an IA3 has shape [4,4]"));
  EXPECT_THAT(
      refusal_of({{LoraRole::kOnInput, torch::zeros({2})}, {LoraRole::kWeight, torch::zeros({4})}}),
      HasSubstr(".on_input: shape [2]"));
  EXPECT_THAT(refusal_of({{LoraRole::kOftBlocks, torch::zeros({2, 3, 3})},
                          {LoraRole::kDora, torch::ones({6, 1})}}),
              HasSubstr("DoRA's magnitudes"));
}

TEST(LoraParts, SeveralKindsForOneWeightAreRefused) {
  const Tensor down = torch::zeros({2, 6}), up = torch::zeros({4, 2}), whole = torch::zeros({4, 6});
  for (const LoraRole other : {LoraRole::kDiff, LoraRole::kSetWeight, LoraRole::kHadaW1A}) {
    EXPECT_THAT(refusal_of({{LoraRole::kDown, down}, {LoraRole::kUp, up}, {other, whole}}),
                HasSubstr("several kinds"));
  }
}

TEST(LoraParts, ABiasInSeveralWaysIsRefused) {
  const auto add = [] {
    bias_module(
        parts_of({{LoraRole::kBias, torch::zeros({4})}, {LoraRole::kUpBias, torch::zeros({4})}}),
        std::nullopt, "m");
  };
  EXPECT_THAT(message_of<Error>(add), HasSubstr("in several ways"));
}

void expect_split(const std::string& key, const std::string& module, LoraRole role) {
  const auto split = split_lora_key(key);
  ASSERT_TRUE(split) << key;
  EXPECT_EQ(split->module, module);
  EXPECT_EQ(split->role, role);
}

TEST(LoraSuffix, TheLongestSuffixCounts) {
  expect_split("lora_unet_conv_in.lora_down.weight", "lora_unet_conv_in", LoraRole::kDown);
  expect_split("unet.x.to_q_lora.up.weight", "unet.x.to_q", LoraRole::kUp);
  expect_split("x.diff_b", "x", LoraRole::kBias);
  expect_split("x.dora_scale", "x", LoraRole::kDora);
}

TEST(LoraSuffix, AnAdaptersNameIsNoPartOfTheModule) {
  expect_split("x.lora_A.default.weight", "x", LoraRole::kDown);
  expect_split("x.lora_magnitude_vector.style", "x", LoraRole::kMagnitude);
}

TEST(LoraSuffix, ABiasOfTheUpFactorIsARoleOfItsOwn) {
  for (const char* key :
       {"x.lora_B.bias", "x.lora_B.default.bias", "x.lora_up.bias", "x.lora.up.bias"})
    expect_split(key, "x", LoraRole::kUpBias);
}

TEST(LoraSuffix, WhatPeftSavesWholeBelongsToTheModuleItWraps) {
  expect_split("unet.x.weight", "unet.x", LoraRole::kWeight);
  expect_split("unet.x.modules_to_save.weight", "unet.x", LoraRole::kWeight);
  expect_split("unet.x.modules_to_save.default.bias", "unet.x", LoraRole::kWholeBias);
  expect_split("unet.x.base_layer.bias", "unet.x", LoraRole::kWholeBias);
  expect_split("unet.x.modules_to_save.a.b.bias", "unet.x.modules_to_save.a.b",
               LoraRole::kWholeBias);
}

TEST(LoraSuffix, OtherKeysHaveNone) { EXPECT_FALSE(split_lora_key("x.mystery")); }

}  // namespace

}  // namespace fourstep
