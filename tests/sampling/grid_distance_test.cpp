#include "sampling/grid_distance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "sampling/schedules.h"

namespace fourstep {
namespace {

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
