#include "base/brownian_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace fourstep {
namespace {

const Shape kShape = {1, 4, 8, 8};

TEST(BrownianNoise, DoesNotDependOnTheOrderOfAsking) {
  const BrownianPath path{7, 0.03, 14.6};
  const Tensor high = brownian_noise(path, kShape, 14.6, 3),
               low = brownian_noise(path, kShape, 3, 1);
  EXPECT_TRUE(torch::equal(brownian_noise(path, kShape, 3, 1), low));
  EXPECT_TRUE(torch::equal(brownian_noise(path, kShape, 14.6, 3), high));
}

TEST(BrownianNoise, AStepIsTheSumOfItsHalves) {
  const BrownianPath path{7, 0.03, 14.6};
  const Tensor whole = brownian_noise(path, kShape, 10, 2) * std::sqrt(8.0);
  const Tensor parts = brownian_noise(path, kShape, 10, 5) * std::sqrt(5.0) +
                       brownian_noise(path, kShape, 5, 2) * std::sqrt(3.0);
  EXPECT_LE((whole - parts).abs().max().item<double>(), 1e-4);
}

TEST(BrownianNoise, HasUnitNormalMoments) {
  const Tensor noise = brownian_noise(BrownianPath{3, 0.03, 14.6}, {4, 64, 64}, 4, 1.5);
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.04);  // five standard errors
  EXPECT_NEAR(noise.std().item<double>(), 1, 0.03);
}

TEST(BrownianNoise, ImageOfABatchEqualsTheSingleRun) {
  const std::vector<BrownianPath> paths = {
      {1, 0.03, 14.6}, {2, 0.03, 14.6, make_philox_noise}, {1ull << 40, 0.03, 14.6}};
  const Tensor batch = brownian_noise(paths, {3, 4, 8, 8}, 5, 2);
  for (size_t i = 0; i < paths.size(); ++i) {
    EXPECT_TRUE(torch::equal(batch.narrow(0, static_cast<int64_t>(i), 1),
                             brownian_noise(paths[i], kShape, 5, 2)));
  }
  EXPECT_THROW(brownian_noise(paths, kShape, 5, 2), Error);
}

TEST(BrownianNoise, StepsBelowAndAboveThePathAreClipped) {
  const BrownianPath path{1, 0.5, 2};
  const Tensor clipped = brownian_noise(path, kShape, 9, 0) * std::sqrt(9.0);
  const Tensor whole = brownian_noise(path, kShape, 2, 0.5) * std::sqrt(1.5);
  EXPECT_LE((clipped - whole).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(brownian_noise(path, kShape, 0.4, 0.3).abs().max().item<double>(), 0);
}

TEST(BrownianNoise, RefusesStepsAndPathsThatDoNotFall) {
  const BrownianPath path{1, 0.5, 2};
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  EXPECT_THROW(brownian_noise(path, kShape, 1, 1), Error);
  EXPECT_THROW(brownian_noise(path, kShape, 1, nan), Error);
  EXPECT_THROW(brownian_noise(path, kShape, inf, 1), Error);
  EXPECT_THROW(brownian_noise(BrownianPath{1, 2, 2}, kShape, 2, 1), Error);
  EXPECT_THROW(brownian_noise(BrownianPath{1, nan, 2}, kShape, 2, 1), Error);
}

}  // namespace
}  // namespace fourstep
