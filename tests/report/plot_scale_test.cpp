#include "report/plot_scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> texts(const Scale& scale, int max_ticks) {
  std::vector<std::string> out;
  for (const Tick& tick : make_ticks(scale, max_ticks)) out.push_back(tick.text);
  return out;
}

Scale linear(double low, double high) { return {false, low, high, 0, 1}; }
Scale logarithmic(double low, double high) { return {true, low, high, 0, 1}; }

TEST(PlotScale, LinearTicksAreRoundNumbers) {
  EXPECT_THAT(texts(linear(0, 10), 6), ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(texts(linear(0, 1), 4), ElementsAre("0", "0.5", "1.0"));
  EXPECT_THAT(texts(linear(-0.3, 0.3), 7),
              ElementsAre("-0.3", "-0.2", "-0.1", "0", "0.1", "0.2", "0.3"));
  EXPECT_THAT(texts(linear(317, 1290), 6), ElementsAre("400", "600", "800", "1000", "1200"));
  EXPECT_THAT(texts(linear(0, 30000), 4), ElementsAre("0", "10000", "20000", "30000"));
}

TEST(PlotScale, VeryLargeAndSmallNumbersHaveExponents) {
  EXPECT_THAT(texts(linear(0, 3e-5), 4), ElementsAre("0", "1e-5", "2e-5", "3e-5"));
  EXPECT_THAT(texts(linear(0, 5e-5), 12).at(1), "5e-6");
  EXPECT_THAT(texts(linear(0, 2e9), 3), ElementsAre("0", "1e9", "2e9"));
  EXPECT_THAT(texts(linear(1e6, 1e6 + 2), 3), ElementsAre("1000000", "1000001", "1000002"));
}

TEST(PlotScale, LogarithmicTicksArePowersOfTenWithTwosAndFivesWhereThereIsRoom) {
  EXPECT_THAT(texts(logarithmic(1e-6, 1), 8),
              ElementsAre("1e-6", "1e-5", "0.0001", "0.001", "0.01", "0.1", "1"));
  EXPECT_THAT(texts(logarithmic(1, 100), 7), ElementsAre("1", "2", "5", "10", "20", "50", "100"));
  EXPECT_THAT(texts(logarithmic(1, 100), 6), ElementsAre("1", "3", "10", "30", "100"));
  EXPECT_THAT(texts(logarithmic(2.2, 2.9), 4), ElementsAre("2.2", "2.4", "2.6", "2.8"));
  EXPECT_LE(texts(logarithmic(1e-140, 1e140), 8).size(), 8U);
}

TEST(PlotScale, NeverMoreTicksThanAsked) {
  for (double length = 1; length < 11; length += 0.37) {
    for (int max_ticks = 2; max_ticks < 12; ++max_ticks) {
      const size_t count = make_ticks(linear(0.123, 0.123 + length), max_ticks).size();
      EXPECT_LE(count, static_cast<size_t>(max_ticks)) << length;
      EXPECT_GE(count, max_ticks >= 4 ? 2U : 1U) << length;
    }
  }
}

TEST(PlotScale, PlacesAreProportionalToTheValueOrItsLogarithm) {
  const Scale x{false, 10, 20, 100, 300};
  EXPECT_DOUBLE_EQ(x.px(10), 100);
  EXPECT_DOUBLE_EQ(x.px(15), 200);
  const Scale y{true, 1, 100, 300, 100};
  EXPECT_DOUBLE_EQ(y.px(1), 300);
  EXPECT_DOUBLE_EQ(y.px(10), 200);
  EXPECT_DOUBLE_EQ(y.px(100), 100);
}

TEST(PlotScale, EndsAreThoseOfTheDataOrFixed) {
  DataRange data;
  for (const double value : {3.0, 5.0, 4.0}) data.add(value);
  EXPECT_DOUBLE_EQ(make_scale({}, data, 0).low, 3);
  EXPECT_DOUBLE_EQ(make_scale({}, data, 0.05).high, 5.1);
  const Scale fixed = make_scale({"", false, 0.0, 4.0}, data, 0.05);
  EXPECT_DOUBLE_EQ(fixed.low, 0);
  EXPECT_DOUBLE_EQ(fixed.high, 4);
}

TEST(PlotScale, LengthIsNeverZero) {
  for (const bool is_log : {false, true}) {
    for (const double value : {1e-149, 1e-5, 1.0, 7.0, 1e149}) {
      DataRange data;
      data.add(value);
      const Scale scale = make_scale({"", is_log, {}, {}}, data, 0.05);
      EXPECT_LT(scale.low, value);
      EXPECT_GT(scale.high, value);
      EXPECT_TRUE(std::isfinite(scale.px(value)));
      EXPECT_LE(make_ticks(scale, 6).size(), 6U);
    }
    const Scale empty = make_scale({"", is_log, {}, {}}, {}, 0.05);
    EXPECT_LT(empty.low, empty.high);
  }
  DataRange data;
  data.add(5);
  EXPECT_GT(make_scale({"", false, 100.0, {}}, data, 0).high, 100);
  EXPECT_LT(make_scale({"", true, {}, 0.001}, data, 0).low, 0.001);
}

TEST(PlotScale, WhatAnAxisCannotShow) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {infinity, -infinity, std::nan(""), 1e200}) {
    EXPECT_FALSE(is_shown({}, value)) << value;
  }
  EXPECT_TRUE(is_shown({}, -3));
  EXPECT_FALSE(is_shown({"", true, {}, {}}, -3));
  EXPECT_FALSE(is_shown({"", true, {}, {}}, 0));
  EXPECT_TRUE(is_shown({"", true, {}, {}}, 1e-9));
}

TEST(PlotScale, FixedEndsThatMakeNoAxisAreRefused) {
  EXPECT_THROW(make_scale({"y", false, 2.0, 1.0}, {}, 0), InvalidRequest);
  EXPECT_THROW(make_scale({"y", false, 1.0, 1.0}, {}, 0), InvalidRequest);
  EXPECT_THROW(make_scale({"y", true, 0.0, 1.0}, {}, 0), InvalidRequest);
  EXPECT_THROW(make_scale({"y", false, std::nan(""), 1.0}, {}, 0), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
