#include "request/model_traits.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(DistilledNames, Dmd2IsRecognisedByNameOrShape) {
  EXPECT_TRUE(looks_like_dmd2({"DMD2_sdxl_4step.safetensors", {}, 1, 0, 4, 1}));
  EXPECT_TRUE(looks_like_dmd2({"renamed.safetensors", {}, 788, 0, 64, 0.125}));
  EXPECT_FALSE(looks_like_dmd2({"other.safetensors", {}, 788, 0, 64, 1}))
      << "LCM: the same modules, alpha 64";
}

TEST(DistilledNames, Dmd2IsRecognisedByWhatItSaysOfItself) {
  const auto with = [](const char* key, const char* text) {
    return looks_like_dmd2({"renamed.safetensors", {{key, text}}, 9, 0, 4, 1});
  };
  EXPECT_TRUE(with("modelspec.title", "DMD2 4-step LoRA"));
  EXPECT_TRUE(with("ss_output_name", "my_dmd2"));
  EXPECT_TRUE(with("fourstep.made_from", R"({"parts":[{"name":"dmd2.safetensors"}]})"));
  EXPECT_FALSE(with("modelspec.title", "a lamp"));
  EXPECT_FALSE(with("ss_training_comment", "not for dmd2")) << "a comment";
}

TEST(DistilledNames, OtherDistillations) {
  for (const char* name : {"sdxl_lightning_4step_lora.safetensors", "Hyper-SDXL-8steps-lora.st",
                           "lcm_lora_sdxl.safetensors", "sd_xl_turbo_1.0.safetensors"}) {
    EXPECT_TRUE(mentions_other_distillation(name)) << name;
  }
  EXPECT_FALSE(mentions_other_distillation("photo.safetensors"));
}

TEST(DistilledNames, WeightsOfRecipesAddUp) {
  const auto weight = [](const std::string& recipe) {
    return merged_dmd2_weight(
        {{"sd_merge_recipe", recipe}, {"modelspec.merged_from", "base, dmd2_4step"}});
  };
  const std::string merged =
      R"({"type":"fourstep","loras":[{"name":"dmd2.safetensors","weight":0.7},{"name":"ink","weight":5}]})";
  EXPECT_DOUBLE_EQ(*weight(merged), 0.7);
  const std::string escaped =
      R"({\"type\":\"fourstep\",\"loras\":[{\"name\":\"dmd2.safetensors\",\"weight\":0.7}]})";
  const std::string taken_out =
      R"({"type":"fourstep","loras":[{"name":"x","title":"DMD2 4-step LoRA","weight":-0.7}],"base_recipe":")" +
      escaped + "\"}";
  EXPECT_DOUBLE_EQ(*weight(taken_out), 0);
  const std::string on_top =
      R"({"type":"fourstep","loras":[{"name":"ink","weight":1}],"base_recipe":")" + escaped + "\"}";
  EXPECT_DOUBLE_EQ(*weight(on_top), 0.7);
}

TEST(DistilledNames, OtherTextsCountAsAWholeOne) {
  EXPECT_DOUBLE_EQ(*merged_dmd2_weight({{"sd_merge_recipe", R"({"type":"webui","x":"DMD2"})"}}), 1);
  EXPECT_DOUBLE_EQ(*merged_dmd2_weight({{"modelspec.title", "photo with dmd2 inside"}}), 1);
  EXPECT_DOUBLE_EQ(*merged_dmd2_weight({{"sd_merge_recipe", "{ broken dmd2"}}), 1);
  EXPECT_FALSE(merged_dmd2_weight({{"modelspec.title", "photo"}}).has_value());
  EXPECT_FALSE(merged_dmd2_weight({}).has_value());
}

}  // namespace
}  // namespace fourstep
