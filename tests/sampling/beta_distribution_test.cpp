#include "sampling/beta_distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace fourstep {
namespace {

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

}  // namespace
}  // namespace fourstep
