#include "workbench/lora_extract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "loras.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

const std::string kLinear = "mid_block.attentions.0.proj_in";
const std::string kKernel = "down_blocks.0.resnets.0.conv1";
const std::string kTextLayer = "text_model.encoder.layers.0.mlp.fc1";

/// A few layers under SDXL's names.
Checkpoint base_model() {
  torch::manual_seed(31);
  Checkpoint model;
  model.path = "base.safetensors";
  NamedTensors& unet = model.components[Component::kUnet];
  unet[kLinear + ".weight"] = torch::randn({24, 32});
  unet[kLinear + ".bias"] = torch::randn({24});
  unet[kKernel + ".weight"] = torch::randn({16, 8, 3, 3});
  unet["conv_in.weight"] = torch::randn({8, 4, 3, 3});
  NamedTensors& text = model.components[Component::kTextEncoder];
  text[kTextLayer + ".weight"] = torch::randn({16, 8});
  text["text_model.embeddings.token_embedding.weight"] = torch::randn({10, 8});
  return model;
}

Checkpoint copy_of(const Checkpoint& model) {
  Checkpoint copy = model;
  copy.path = "tuned.safetensors";
  for (auto& [component, tensors] : copy.components) {
    for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  }
  return copy;
}

Tensor& weight(Checkpoint& model, const std::string& module,
               Component component = Component::kUnet) {
  return model.components[component].at(module + ".weight");
}

Tensor low_rank(const Shape& shape, int64_t rank) {
  const Tensor up = torch::randn({shape[0], rank});
  Shape rest = shape;
  rest[0] = rank;
  return torch::mm(up, torch::randn(rest).flatten(1)).reshape(shape);
}

ExtractOptions options(int64_t rank) {
  ExtractOptions wanted;
  wanted.rank = wanted.convolution_rank = rank;
  wanted.dtype = torch::kFloat;
  return wanted;
}

Tensor extracted(const ExtractResult& result, const std::string& module,
                 Component component = Component::kUnet) {
  const LoraModule& found = result.modules.at({component, module + ".weight"});
  return delta(found, result.layout.shapes.at(component).at(module + ".weight"));
}

TEST(LoraExtract, AKnownLowRankUpdateIsRecovered) {
  const Checkpoint base = base_model();
  Checkpoint tuned = copy_of(base);
  torch::manual_seed(32);
  const Tensor linear = low_rank({24, 32}, 3), kernel = low_rank({16, 8, 3, 3}, 3);
  weight(tuned, kLinear) += linear;
  weight(tuned, kKernel) += kernel;
  const ExtractResult result = extract_lora(tuned, base, options(3));
  EXPECT_EQ(result.modules.size(), 2u) << "what did not change gets no module";
  EXPECT_LT(norm_of(extracted(result, kLinear) - linear), 1e-5 * norm_of(linear));
  EXPECT_LT(norm_of(extracted(result, kKernel) - kernel), 1e-5 * norm_of(kernel));
  EXPECT_LT(result.relative_error(), 1e-5);
  EXPECT_EQ(result.beyond_squared, 0);
}

TEST(LoraExtract, TheErrorIsThatOfTheDiscardedSingularValues) {
  const Checkpoint base = base_model();
  Checkpoint tuned = copy_of(base);
  torch::manual_seed(33);
  const Tensor change = torch::randn({24, 32});
  weight(tuned, kLinear) += change;
  const ExtractResult result = extract_lora(tuned, base, options(5));
  const Tensor s = torch::linalg_svdvals(change.to(torch::kDouble));
  const double expected = std::sqrt(s.narrow(0, 5, 19).square().sum().item<double>());
  EXPECT_NEAR(std::sqrt(result.lost_squared), expected, 1e-5 * norm_of(change));
  EXPECT_NEAR(result.relative_error(), expected / norm_of(change), 1e-5);
}

TEST(LoraExtract, ConvolutionsHaveARankOfTheirOwn) {
  const Checkpoint base = base_model();
  Checkpoint tuned = copy_of(base);
  weight(tuned, kLinear) += torch::randn({24, 32});
  weight(tuned, kKernel) += torch::randn({16, 8, 3, 3});
  ExtractOptions wanted = options(6);
  wanted.convolution_rank = 2;
  const ExtractResult result = extract_lora(tuned, base, wanted);
  EXPECT_EQ(rank_of(result.modules.at({Component::kUnet, kLinear + ".weight"})), 6);
  EXPECT_EQ(rank_of(result.modules.at({Component::kUnet, kKernel + ".weight"})), 2);
}

TEST(LoraExtract, WhatALoraCannotHoldIsMeasured) {
  const Checkpoint base = base_model();
  Checkpoint tuned = copy_of(base);
  weight(tuned, kLinear) += low_rank({24, 32}, 1);
  tuned.components[Component::kUnet].at(kLinear + ".bias") += 2;
  const ExtractResult result = extract_lora(tuned, base, options(4));
  EXPECT_NEAR(result.beyond_squared, 24 * 4, 1e-4);
}

TEST(LoraExtract, ATextEncoderCountsFromAHundredthOn) {
  const Checkpoint base = base_model();
  Checkpoint tuned = copy_of(base);
  weight(tuned, kLinear) += low_rank({24, 32}, 1);
  weight(tuned, kTextLayer, Component::kTextEncoder) += 0.005;
  EXPECT_EQ(extract_lora(tuned, base, options(4)).modules.size(), 1u);
  weight(tuned, kTextLayer, Component::kTextEncoder) += 0.05;
  const ExtractResult result = extract_lora(tuned, base, options(4));
  EXPECT_EQ(result.modules.size(), 2u);
  EXPECT_NEAR(extracted(result, kTextLayer, Component::kTextEncoder).mean().item<double>(), 0.055,
              1e-5);
}

TEST(LoraExtract, FilesThatCannotBeComparedAreRefused) {
  const Checkpoint base = base_model();
  EXPECT_THAT(testing::message_of<Error>([&] { extract_lora(copy_of(base), base, options(4)); }),
              HasSubstr("same weights"));
  Checkpoint other = copy_of(base);
  weight(other, kLinear) = torch::randn({24, 33});
  EXPECT_THAT(testing::message_of<Error>([&] { extract_lora(other, base, options(4)); }),
              ::testing::AllOf(HasSubstr("[24,33]"), HasSubstr("[24,32]")));
  Checkpoint broken = copy_of(base);
  weight(broken, kLinear)[0][0] = std::nan("");
  EXPECT_THAT(testing::message_of<Error>([&] { extract_lora(broken, base, options(4)); }),
              HasSubstr("NaN"));
  EXPECT_THROW(extract_lora(broken, base, options(0)), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
