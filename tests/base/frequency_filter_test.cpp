#include "base/frequency_filter.h"

#include <gtest/gtest.h>
#include <cmath>
#include <numbers>

namespace fourstep {

namespace {

/// One wave of `cycles` over the width, on top of 1.
Tensor wave(int64_t cycles) {
  const Tensor angle = torch::arange(16, torch::kFloat64) *
                       (2 * std::numbers::pi * static_cast<double>(cycles) / 16);
  return (angle.cos() + 1).expand({1, 1, 8, 16});
}

TEST(FrequencyFilter, ScalesTheMeanAsLowAndFastWavesAsHigh) {
  const Tensor got = scale_frequencies(wave(3), {.low = 0.5, .high = 2, .cutoff = 1});
  EXPECT_TRUE(torch::allclose(got, (wave(3) - 1) * 2 + 0.5));
}

TEST(FrequencyFilter, ACutoffBeyondTheMapTakesAllAsLow) {
  EXPECT_TRUE(torch::allclose(scale_frequencies(wave(5), {.low = 0.5, .high = 2, .cutoff = 99}),
                              wave(5) * 0.5));
}

TEST(GaussianBlur, LeavesConstantsAndSpreadsAPointEvenly) {
  const Tensor flat = torch::full({2, 3, 8, 6}, 1.5, torch::kFloat64);
  EXPECT_TRUE(torch::allclose(gaussian_blur(flat, 9, 2), flat));
  Tensor point = torch::zeros({1, 1, 21, 21}, torch::kFloat64);
  point[0][0][10][10] = 1;
  const Tensor spread = gaussian_blur(point, 9, 1.2);
  EXPECT_NEAR(spread.sum().item<double>(), 1, 1e-12);
  EXPECT_NEAR((spread[0][0][10][11] / spread[0][0][10][10]).item<double>(),
              std::exp(-0.5 / (1.2 * 1.2)), 1e-12);
  EXPECT_EQ(spread[0][0][10][15].item<double>(), 0) << "beyond the kernel";
}

TEST(GaussianBlur, AKernelWiderThanTheMapIsCut) {
  const Tensor x = torch::randn({1, 2, 4, 9}, torch::kFloat64);
  EXPECT_TRUE(torch::equal(gaussian_blur(x, 601, 100), gaussian_blur(x, 7, 100)));
}

}  // namespace

}  // namespace fourstep
