#include "train/lora_export.h"

#include <gtest/gtest.h>

#include "emoji/train_config.h"
#include "train/lora_config.h"

namespace fourstep {
namespace {

TEST(RecipeOf, FoldersOfTheMachineAreLeftOut) {
  LoraTrainConfig config;
  config.model = "/home/someone/models/base.safetensors";
  config.latents = "/tmp/cache.safetensors";
  const auto recipe = recipe_of(config);
  EXPECT_EQ(recipe.at("model"), "base.safetensors");
  EXPECT_EQ(recipe.at("latents"), "cache.safetensors");
  EXPECT_FALSE(recipe.contains("out"));
}

TEST(RecipeOf, ANumberOfLatentsStaysANumber) {
  TrainConfig config;
  config.latents = 64;
  EXPECT_EQ(recipe_of(config).at("latents"), 64);
}

}  // namespace
}  // namespace fourstep
