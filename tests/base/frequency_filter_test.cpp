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

}  // namespace
}  // namespace fourstep
