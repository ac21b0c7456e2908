#include "sampling/sigma_lists.h"

#include <gtest/gtest.h>

#include <vector>

namespace fourstep {
namespace {

TEST(EquallySpaced, MeetsBothEnds) {
  EXPECT_EQ(equally_spaced(3, 1, 5), (std::vector<double>{3, 2.5, 2, 1.5, 1}));
  EXPECT_EQ(equally_spaced(3, 1, 1), std::vector<double>{3});
}

TEST(LogInterpolated, KeepsTheEntriesOfATableOfItsLength) {
  const std::vector<double> table = {8, 4, 2, 1};
  const auto same = log_interpolated(table, 4), twice = log_interpolated(table, 7);
  for (size_t i = 0; i < table.size(); ++i) {
    EXPECT_NEAR(same[i], table[i], 1e-12);
    EXPECT_NEAR(twice[2 * i], table[i], 1e-12);
  }
  EXPECT_NEAR(twice[1], 4 * 1.4142135623730951, 1e-12);
  EXPECT_NEAR(log_interpolated(table, 1).front(), 1, 1e-12);
}

TEST(LaplaceSigmas, TakesClippedLevelsOnce) {
  const auto sigmas = laplace_sigmas(1000, {0.03, 14.6}, /*mu=*/0, /*beta=*/0.5);
  EXPECT_EQ(sigmas.front(), 14.6);
  EXPECT_EQ(sigmas.back(), 0.03);
  for (size_t i = 1; i < sigmas.size(); ++i) ASSERT_LT(sigmas[i], sigmas[i - 1]);
}

TEST(PolyexponentialSigmas, OfPowerOneAreKarrasOfInfinitePower) {
  const auto exponential = polyexponential_sigmas(8, {0.03, 14.6}, 1);
  const auto karras = karras_sigmas(8, {0.03, 14.6}, 1e7);
  for (size_t i = 0; i + 1 < exponential.size(); ++i) {
    EXPECT_NEAR(karras[i] / exponential[i], 1, 1e-5);
  }
}

}  // namespace
}  // namespace fourstep
