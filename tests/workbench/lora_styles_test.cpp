#include "workbench/lora_styles.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "loras.h"

namespace fourstep {
namespace {

TEST(LoraStyles, WordsAndStylesAreOneToOne) {
  for (const char* text : {"kohya", "kohya-ldm", "peft", "diffusers"})
    EXPECT_STREQ(to_string(style_from_text(text)), text);
  EXPECT_THROW(style_from_text("webui"), InvalidRequest);
}

TEST(LoraStyles, OneTextEncoderIsTeAndTwoAreNumbered) {
  const LoraLayout sd15 = published_layout(Family::kSd15);
  EXPECT_EQ(module_key(LoraStyle::kKohya, id_of(kText), sd15),
            "lora_te_text_model_encoder_layers_0_self_attn_q_proj");
  EXPECT_EQ(module_key(LoraStyle::kKohyaLdm, id_of(kText), sdxl()),
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj");
  EXPECT_EQ(module_key(LoraStyle::kKohya, id_of("text_encoder_2.text_projection.weight"), sdxl()),
            "lora_te2_text_projection");
}

TEST(LoraStyles, AModuleWithoutLdmNameIsAnError) {
  EXPECT_THROW(module_key(LoraStyle::kKohyaLdm, id_of("unet.none.weight"), sdxl()), Error);
}

TEST(LoraStyles, DiffusersNamesTextLayersDifferently) {
  using enum LoraRole;
  EXPECT_EQ(role_suffix(LoraStyle::kDiffusers, Component::kUnet, kUp), ".lora.up.weight");
  EXPECT_EQ(role_suffix(LoraStyle::kDiffusers, Component::kTextEncoder, kDown),
            ".lora_linear_layer.down.weight");
  EXPECT_EQ(role_suffix(LoraStyle::kPeft, Component::kUnet, kUp), ".lora_B.weight");
  EXPECT_FALSE(role_suffix(LoraStyle::kPeft, Component::kUnet, kLokrW1));
}

TEST(LoraStyles, KeysTellTheStyle) {
  EXPECT_EQ(describe_style({"lora_unet_input_blocks_4_1_proj_in", "lora_te1_text_model_x"}, {}),
            "kohya (ldm names)");
  EXPECT_EQ(describe_style({"lora_unet_down_blocks_1_x"}, {}), "kohya (diffusers names)");
  EXPECT_EQ(describe_style({"unet.down_blocks.1.x"}, {"unet.down_blocks.1.x.lora_A.weight"}),
            "PEFT");
  EXPECT_EQ(describe_style({"unet.down_blocks.1.x"}, {"unet.down_blocks.1.x.lora.down.weight"}),
            "diffusers");
  EXPECT_EQ(describe_style({"diffusion_model.input_blocks.4.1.proj_in"}, {}), "ComfyUI");
}

TEST(LoraStyles, AScalarTakesTheSmallestTypeThatHoldsIt) {
  EXPECT_EQ(scalar_tensor(8, torch::kHalf).scalar_type(), torch::kHalf);
  EXPECT_EQ(scalar_tensor(5000.5, torch::kHalf).scalar_type(), torch::kFloat);
  EXPECT_EQ(scalar_tensor(0.1, torch::kHalf).scalar_type(), torch::kDouble);
}

TEST(LoraStyles, AValueThatTheTypeCannotHoldIsAnError) {
  EXPECT_THROW(cast_checked(torch::full({2}, 1e6), torch::kHalf, "x"), Error);
  EXPECT_EQ(cast_checked(torch::ones({2}), torch::kHalf, "x").scalar_type(), torch::kHalf);
}

}  // namespace
}  // namespace fourstep
