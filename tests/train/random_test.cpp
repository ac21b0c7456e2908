#include "train/random.h"

#include <gtest/gtest.h>

#include "support/golden.h"
#include "support/tiny_model.h"
#include "text/clip.h"

namespace fourstep {
namespace {

using testing::to_doubles;

TEST(GoldenRandom, NumbersFollowFromTheKeyAsInPython) {
  const auto golden = testing::load_golden("training.json");
  if (!golden) GTEST_SKIP() << "no training.json";
  size_t checked = 0;
  for (const auto& item : golden->value("random", nlohmann::json::array())) {
    const std::string stream = item.at("stream");
    const RandomKey key{std::stoull(item.at("seed").get<std::string>()), stream,
                        item.at("iteration")};
    EXPECT_EQ(std::to_string(hash_of(key)), item.at("hash")) << stream;
    EXPECT_EQ(to_doubles(draw_normal(key, {4, 5})), testing::numbers(item.at("normal"))) << stream;
    EXPECT_EQ(to_doubles(draw_integers(key, -3, 1000, 20)), testing::numbers(item.at("integers")));
    EXPECT_EQ(to_doubles(draw_uniform(key, 20)), testing::numbers(item.at("uniform")));
    ++checked;
  }
  testing::report_golden("training.json", checked, 0);
}

TEST(Random, EveryPartOfTheKeyCounts) {
  const RandomKey key{1, "dm noise", 7};
  const Tensor numbers = draw_normal(key, {100});
  EXPECT_TRUE(torch::equal(draw_normal(key, {100}), numbers));
  for (const RandomKey& other : {RandomKey{2, "dm noise", 7}, RandomKey{1, "dm noises", 7},
                                 RandomKey{1, "dm noise", 8}, RandomKey{1, "dm nois", 7}}) {
    EXPECT_NE(hash_of(other), hash_of(key));
    EXPECT_FALSE(torch::equal(draw_normal(other, {100}), numbers));
  }
}

TEST(Random, NeighbouringKeysAreUncorrelated) {
  std::vector<Tensor> draws;
  for (int64_t i = 0; i < 20; ++i) draws.push_back(draw_normal({3, "noise", i}, {1000}));
  for (uint64_t seed = 4; seed < 20; ++seed)
    draws.push_back(draw_normal({seed, "noise", 0}, {1000}));
  const Tensor correlations =
      at::corrcoef(at::stack(draws)) - at::eye(static_cast<int64_t>(draws.size()));
  // The correlation of 1000 independent pairs has deviation 1/sqrt(1000); 630 pairs stay below 5 of them.
  EXPECT_LT(correlations.abs().max().item<double>(), 5 / std::sqrt(1000.));
}

TEST(Random, RangesAreHalfOpen) {
  const Tensor integers = draw_integers({1, "t", 0}, 20, 23, 1000);
  EXPECT_EQ(integers.min().item<int64_t>(), 20);
  EXPECT_EQ(integers.max().item<int64_t>(), 22);
  const Tensor uniform = draw_uniform({1, "u", 0}, 100000);
  EXPECT_GE(uniform.min().item<float>(), 0.f);
  EXPECT_LT(uniform.max().item<float>(), 1.f);
  EXPECT_NEAR(uniform.mean().item<double>(), 0.5, 5 / std::sqrt(12 * 100000.));  // five sigma
}

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
