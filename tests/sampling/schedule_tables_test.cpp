#include "sampling/schedule_tables.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(ScheduleTables, FallForEveryCoefficientAndStepCount) {
  for (int hundredths = 80; hundredths <= 150; hundredths += 5) {
    for (int steps = 1; steps <= 20; ++steps) {
      const auto sigmas = gits_table_sigmas(hundredths / 100.0, steps);
      ASSERT_EQ(sigmas.size(), static_cast<size_t>(steps) + 1);
      for (size_t i = 1; i < sigmas.size(); ++i) ASSERT_LT(sigmas[i], sigmas[i - 1]);
    }
  }
}

TEST(ScheduleTables, TakeTheCoefficientToTwoDecimals) {
  EXPECT_EQ(gits_table_sigmas(1.2000001, 4), gits_table_sigmas(1.2, 4));
  for (const double coefficient : {0.0, 0.75, 1.22, 1.55, std::nan("")}) {
    EXPECT_THROW(gits_table_sigmas(coefficient, 4), InvalidRequest) << coefficient;
  }
}

TEST(ScheduleTables, HaveNoListsBeyondTwentySteps) {
  EXPECT_THROW(gits_table_sigmas(1.2, 0), Error);
  EXPECT_THROW(gits_table_sigmas(1.2, 21), Error);
}

}  // namespace
}  // namespace fourstep
