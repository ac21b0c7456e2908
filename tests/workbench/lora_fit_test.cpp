#include "workbench/lora_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "loras.h"
#include "workbench/lora_styles.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

TensorFile file_of(NamedTensors tensors) {
  TensorFile file;
  file.path = "x.safetensors";
  file.tensors = std::move(tensors);
  return file;
}

/// kohya's two tensors of a module.
NamedTensors pair_of(const std::string& name, const Shape& down, const Shape& up) {
  return {{name + ".lora_down.weight", torch::ones(down)},
          {name + ".lora_up.weight", torch::ones(up)}};
}

NamedTensors both(NamedTensors a, NamedTensors b) {
  a.merge(b);
  return a;
}

const std::string kKey = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k";
const std::string kMid = "lora_unet_mid_block_attentions_0_transformer_blocks_9_attn2_to_k";

FittedLora fit(const NamedTensors& tensors) {
  return fit_lora(parse_lora(file_of(tensors)), published_layouts());
}

TEST(LoraFit, ShapesTellTheFamily) {
  EXPECT_EQ(fit(pair_of(kKey, {4, 768}, {640, 4})).layout.name, "SD 1.5");
  EXPECT_EQ(fit(pair_of(kMid, {4, 2048}, {1280, 4})).layout.name, "SDXL");
}

TEST(LoraFit, OtherWidthsOfAKnownLayoutAreTaken) {
  const FittedLora lora =
      fit(both(pair_of(kMid, {4, 64}, {48, 4}), pair_of(kKey, {4, 64}, {32, 4})));
  EXPECT_EQ(lora.kind, FitKind::kOtherWidths);
  EXPECT_EQ(lora.layout.name, "SDXL");
  EXPECT_EQ(lora.modules().size(), 2u);
}

TEST(LoraFit, AConvolutionInOtherWidthsKeepsItsKernel) {
  const FittedLora lora =
      fit(pair_of("lora_unet_down_blocks_0_resnets_0_conv1", {4, 32, 3, 3}, {32, 4, 1, 1}));
  EXPECT_EQ(lora.layout.shapes.at(Component::kUnet).at("down_blocks.0.resnets.0.conv1.weight"),
            (Shape{32, 32, 3, 3}));
}

TEST(LoraFit, AModuleWithoutAPlaceIsCounted) {
  const FittedLora lora =
      fit(both(pair_of(kMid, {4, 2048}, {1280, 4}),
               pair_of("lora_unet_double_blocks_0_img_attn_qkv", {4, 8}, {8, 4})));
  EXPECT_EQ(lora.kind, FitKind::kPartial);
  EXPECT_EQ(lora.match.unmatched.size(), 1u);
  EXPECT_THAT(lora.match.likely_cause, HasSubstr("Flux"));
}

TEST(LoraFit, FilesOfTwoFamiliesAreNotJoined) {
  FittedLora a = fit(pair_of(kMid, {4, 2048}, {1280, 4}));
  FittedLora b = fit(pair_of(kKey, {4, 768}, {640, 4}));
  EXPECT_THAT(testing::message_of<Error>([&] {
                common_layout({a, b});
              }),
              ::testing::AllOf(HasSubstr("SDXL"), HasSubstr("SD 1.5")));
}

TEST(LoraFit, OneFileWithOtherShapesIsNotJoined) {
  FittedLora a = fit(both(pair_of(kMid, {4, 64}, {48, 4}), {}));
  FittedLora b = fit(both(pair_of(kMid, {4, 32}, {48, 4}), {}));
  EXPECT_THAT(testing::message_of<Error>([&] {
                common_layout({a, b});
              }),
              HasSubstr("[48,64] and [48,32]"));
}

TEST(LoraFit, AFileForAReducedModelIsJoinedWithOneForSdxl) {
  testing::TemporaryFolder folder;
  // Alone it would count as Vega's, of which it changes a larger share.
  const auto small = folder.path() / "small.safetensors",
             large = folder.path() / "large.safetensors";
  write_safetensors(small, pair_of(kKey, {4, 2048}, {640, 4}));
  write_safetensors(large, pair_of(kMid, {4, 2048}, {1280, 4}));
  const auto loras = open_together({small, large}, published_layouts());
  EXPECT_EQ(loras[0].layout.name, "SDXL");
  EXPECT_EQ(loras[1].layout.name, "SDXL");
}

}  // namespace
}  // namespace fourstep
