#include "train/initialize.h"

#include <gtest/gtest.h>

#include "support/tiny_model.h"
#include "text/clip.h"

namespace fourstep {
namespace {

UNet blank_unet() { return UNet(testing::tiny_unet()->config); }

// torch.nn.Linear and Conv2d draw weights and biases from +-1/sqrt(fan in); norms are 1 and 0.
TEST(Initialize, LayersBeginAsTorchsDefault) {
  UNet unet = blank_unet();
  initialize(*unet, {.seed = 3});
  const NamedTensors parameters = parameters_of(*unet);
  for (const auto& [name, tensor] : parameters) {
    ASSERT_FALSE(is_placeholder(tensor)) << name;
    const Tensor& weight = parameters.at(name.substr(0, name.rfind('.')) + ".weight");
    if (weight.dim() == 1) {
      EXPECT_TRUE(torch::equal(tensor, at::full_like(tensor, name.ends_with(".weight") ? 1 : 0)))
          << name;
      continue;
    }
    const double bound = 1 / std::sqrt(static_cast<double>(weight.numel() / weight.size(0)));
    EXPECT_LE(tensor.abs().max().item<double>(), bound * (1 + 1e-6)) << name;
    // Of a uniform distribution's sample variance, the relative deviation is sqrt(0.8 / n): five of them.
    const double variance = bound * bound / 3, count = static_cast<double>(tensor.numel());
    EXPECT_NEAR(tensor.square().mean().item<double>(), variance,
                5 * variance * std::sqrt(0.8 / count))
        << name;
  }
}

TEST(Initialize, NumbersDependOnSeedAndNameAlone) {
  UNet unet = blank_unet(), again = blank_unet(), other = blank_unet();
  initialize(*unet, {.seed = 3});
  initialize(*again, {.seed = 3});
  initialize(*other, {.seed = 4});
  for (const auto& [name, tensor] : parameters_of(*unet)) {
    EXPECT_TRUE(torch::equal(tensor, parameters_of(*again).at(name))) << name;
  }
  EXPECT_FALSE(torch::equal(unet->conv_in->weight, other->conv_in->weight));
}

TEST(Initialize, ZeroedLayersAreChosenByTheLastPartOfTheirName) {
  UNet unet = blank_unet();
  initialize(*unet, {.zeroed = {"conv2", "conv_out"}});
  for (const auto& [name, tensor] : parameters_of(*unet)) {
    const bool is_zeroed =
        name.find(".conv2.") != std::string::npos || name.starts_with("conv_out.");
    const bool is_norm_bias = name.find("norm") != std::string::npos && name.ends_with(".bias");
    EXPECT_EQ(tensor.abs().max().item<double>() == 0, is_zeroed || is_norm_bias) << name;
  }
}

TEST(Initialize, EmbeddingsAreNormal) {
  ClipConfig config;
  config.vocab_size = 1000;
  config.width = config.mlp_width = 64;
  config.heads = config.layers = 1;
  ClipText text(config);
  initialize(*text, {.embedding_std = 0.02});
  const Tensor& weight = text->token_embedding->weight;
  EXPECT_NEAR(weight.std().item<double>(), 0.02, 5 * 0.02 / std::sqrt(2. * weight.numel()));
  EXPECT_GT(weight.abs().max().item<double>(), 0.06) << "a uniform distribution would end at 0.035";
}

}  // namespace
}  // namespace fourstep
