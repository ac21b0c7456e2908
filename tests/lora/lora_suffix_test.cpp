#include "lora/lora_suffix.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

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
