#include "distill/discriminator.h"

#include <gtest/gtest.h>

#include "train/initialize.h"

namespace fourstep {
namespace {

std::vector<Shape> kernel_shapes(Discriminator& head) {
  std::vector<Shape> shapes;
  for (Conv2d& conv : *head->convs) shapes.push_back(shape_of(conv->weight));
  return shapes;
}

// sd_guidance.py, lines 107-122: three blocks with stride from 32 to 4, one convolution over the rest, one number.
TEST(Discriminator, OnSdxlsMiddleBlockItIsThePublishedHead) {
  Discriminator head(1280, 32);
  const Shape kernel = {1280, 1280, 4, 4};
  EXPECT_EQ(kernel_shapes(head), (std::vector<Shape>{kernel, kernel, kernel, kernel}));
  EXPECT_EQ((*head->convs)[0]->options.stride, 2);
  EXPECT_EQ((*head->convs)[2]->options.padding, 1);
  EXPECT_EQ((*head->convs)[3]->options.stride, 4);
  EXPECT_EQ((*head->convs)[3]->options.padding, 0);
  int64_t count = 0;
  for (const auto& [name, tensor] : parameters_of(*head)) count += tensor.numel();
  // 4 convolutions and norms with biases, and the last 1x1 convolution.
  EXPECT_EQ(count, 4 * (1280 * 1280 * 16 + 1280 + 2 * 1280) + 1280 + 1);
}

TEST(Discriminator, TheLastConvolutionSpansWhatIsLeftOfAnyMap) {
  for (const auto& [side, count, last] : {std::tuple{2, 1, 2}, {4, 1, 4}, {5, 2, 2}, {16, 3, 4}}) {
    Discriminator head(32, side);
    ASSERT_EQ(head->convs->size(), static_cast<size_t>(count)) << side;
    EXPECT_EQ(head->convs->back()->options.kernel, last) << side;
    initialize(*head, {});
    EXPECT_EQ(shape_of(head(torch::zeros({3, 32, side, side}))), Shape{3}) << side;
  }
}

TEST(Discriminator, HalfPrecisionFeaturesAreJudgedInFp32) {
  Discriminator head(64, 4);
  initialize(*head, {});
  const Tensor features =
      torch::linspace(-2, 2, 2 * 64 * 16).view({2, 64, 4, 4}).to(torch::kBFloat16);
  const Tensor logits = head(features);
  EXPECT_EQ(logits.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(torch::equal(logits, head(features.to(torch::kFloat32))));
}

TEST(GanLosses, AreLogisticAtAnyLogit) {
  const Tensor logits = torch::tensor({-60.0, -1.0, 0.0, 2.0, 60.0}, torch::kFloat64);
  for (int64_t i = 0; i < logits.numel(); ++i) {
    const Tensor one = logits.slice(0, i, i + 1);
    const double value = one.item<double>();
    // -log of the probability that a sigmoid gives to "real"; log1p(exp) in the form without overflow.
    const double as_real = std::max(-value, 0.0) + std::log1p(std::exp(-std::abs(value)));
    EXPECT_NEAR(generator_gan_loss(one).item<double>(), as_real, 1e-8);
    EXPECT_NEAR(discriminator_loss(-one, one).item<double>(), 2 * as_real, 1e-8);
  }
  EXPECT_NEAR(generator_gan_loss(torch::zeros({4})).item<double>(), std::log(2), 1e-6);
  EXPECT_NEAR(discriminator_loss(torch::zeros({4}), torch::zeros({4})).item<double>(),
              2 * std::log(2), 1e-6);
}

TEST(GanLosses, AreMeansOverTheirOwnBatches) {
  const Tensor fake = torch::tensor({1.0, -2.0, 0.5}), real = torch::tensor({0.3, -1.0});
  double expected = 0;
  for (const double a : {1.0, -2.0, 0.5}) expected += std::log1p(std::exp(a)) / 3;
  for (const double a : {0.3, -1.0}) expected += std::log1p(std::exp(-a)) / 2;
  EXPECT_NEAR(discriminator_loss(fake, real).item<double>(), expected, 1e-6);
}

}  // namespace
}  // namespace fourstep
