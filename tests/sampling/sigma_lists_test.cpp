#include "sampling/sigma_lists.h"

#include <gtest/gtest.h>
#include <cmath>
#include <numbers>
#include <vector>

#include "sampling/schedules.h"

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

TEST(IncompleteBeta, EqualsItsClosedForms) {
  for (const double x : {0.0, 1e-6, 0.1, 0.35, 0.5, 0.77, 0.999, 1.0}) {
    EXPECT_NEAR(incomplete_beta(x, 1, 1), x, 1e-14);
    EXPECT_NEAR(incomplete_beta(x, 2, 1), x * x, 1e-14);
    EXPECT_NEAR(incomplete_beta(x, 1, 3), 1 - std::pow(1 - x, 3), 1e-14);
    EXPECT_NEAR(incomplete_beta(x, 0.5, 0.5), 2 / std::numbers::pi * std::asin(std::sqrt(x)),
                1e-13);
  }
}

TEST(BetaQuantile, InvertsTheIncompleteBeta) {
  for (const double p : {0.001, 0.2, 0.5, 0.9, 0.9999}) {
    EXPECT_NEAR(incomplete_beta(beta_quantile(p, 0.6, 0.6), 0.6, 0.6), p, 1e-13);
    EXPECT_NEAR(incomplete_beta(beta_quantile(p, 3, 0.7), 3, 0.7), p, 1e-13);
  }
  EXPECT_EQ(beta_quantile(0, 0.6, 0.6), 0);
  EXPECT_EQ(beta_quantile(1, 0.6, 0.6), 1);
  EXPECT_EQ(beta_quantile(0.5, 0.6, 0.6), 0.5);
}

const std::vector<double> kTrained = {8, 2};

TEST(GridDistance, IsTheLogarithmOfTheRatioToTheNearestLevel) {
  EXPECT_DOUBLE_EQ(log_distance(8, kTrained), 0);
  EXPECT_DOUBLE_EQ(log_distance(16, kTrained), std::log(2.0));
  EXPECT_DOUBLE_EQ(log_distance(1, kTrained), std::log(2.0));
  EXPECT_DOUBLE_EQ(log_distance(4, kTrained), std::log(2.0)) << "the middle of both";
}

TEST(GridDistance, CountsBothWaysAndLeavesTheEndOut) {
  const std::vector<double> sigmas = {8, 4, 0};
  const GridDistance distance = grid_distance(sigmas, kTrained);
  EXPECT_DOUBLE_EQ(distance.visited, std::log(2.0) / 2) << "8: 0, 4: a factor of 2";
  EXPECT_DOUBLE_EQ(distance.missed, std::log(2.0) / 2) << "8: 0, 2: a factor of 2";
}

TEST(GridDistance, OfTheTrainedScheduleIsZero) {
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  const std::vector<double> four = make_sigmas("dmd2", schedule, 4);
  const std::span<const double> trained = std::span(four).first(4);
  EXPECT_EQ(grid_distance(four, trained).visited, 0);
  EXPECT_EQ(grid_distance(make_sigmas("simple", schedule, 8), trained).missed, 0)
      << "eight simple steps contain the four";
  EXPECT_GT(grid_distance(make_sigmas("linear_quadratic", schedule, 5), trained).missed, 1);
}

}  // namespace

}  // namespace fourstep
