#include "report/swings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename Function>
std::vector<double> sampled(int count, const Function& function) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(function(i));
  return values;
}

double wave(double i, double period) { return std::sin(2 * std::numbers::pi * i / period); }

TEST(Swings, DeviationAndPeriodOfASineAreFound) {
  const auto swing = find_swing(sampled(300, [](int i) { return 2 + 3 * wave(i, 30) + 0.05 * i; }));
  ASSERT_TRUE(swing);
  EXPECT_NEAR(swing->deviation, 3 / std::numbers::sqrt2, 0.1);
  EXPECT_NEAR(swing->period_points, 30, 2);
}

TEST(Swings, TheyAreFoundUnderNoise) {
  std::mt19937 generator(1);
  std::normal_distribution<double> noise(0, 0.7);
  const auto swing =
      find_swing(sampled(300, [&](int i) { return wave(i, 40) + noise(generator); }));
  ASSERT_TRUE(swing);
  EXPECT_GT(swing->deviation, 0.7);
}

TEST(Swings, NoiseDriftStepsAndConstantsAreNone) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> noise(0, 1);
    EXPECT_FALSE(find_swing(sampled(300, [&](int) { return noise(generator); }))) << seed;
  }
  EXPECT_FALSE(find_swing(sampled(300, [](int i) { return 0.1 * i; })));
  EXPECT_FALSE(find_swing(sampled(300, [](int i) { return std::exp(-i / 50.0); })));
  EXPECT_FALSE(find_swing(sampled(300, [](int i) { return i < 150 ? 0.0 : 1.0; })));
  EXPECT_FALSE(find_swing(sampled(300, [](int) { return 4.0; })));
  EXPECT_FALSE(find_swing(sampled(39, [](int i) { return wave(i, 10); }))) << "too few";
  EXPECT_FALSE(find_swing({}));
}

TEST(Swings, MeansAndMediansAreThoseOfArithmetic) {
  EXPECT_EQ(median_of({3, 1, 2}), 2);
  EXPECT_EQ(median_of({5}), 5);
  EXPECT_EQ(mean_of(std::vector<double>{1, 2, 6}), 3);
}

TEST(Spikes, PeaksAreFoundAtTheirPlace) {
  auto values = sampled(200, [](int i) { return 1 + 0.2 * wave(i, 17); });
  values[80] = 9;
  values[120] = 7;
  values[121] = 11;  // one spike, its peak here
  values[122] = 8;
  EXPECT_THAT(find_spikes(values, 5), ElementsAre(80, 121));
}

TEST(Spikes, TransientsGrowthAndDecayAreNone) {
  EXPECT_THAT(find_spikes(sampled(300, [](int i) { return std::exp(-i / 5.0) + 0.1; }), 5),
              IsEmpty());
  EXPECT_THAT(find_spikes(sampled(300, [](int i) { return 1 - std::exp(-i / 20.0); }), 5),
              IsEmpty());
  EXPECT_THAT(find_spikes(sampled(30, [](int i) { return i == 20 ? 99.0 : 1.0; }), 5), IsEmpty());
  EXPECT_THAT(find_spikes({}, 5), IsEmpty());
}

}  // namespace
}  // namespace fourstep
