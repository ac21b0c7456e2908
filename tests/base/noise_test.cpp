#include "base/noise.h"

#include <gtest/gtest.h>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace fourstep {

namespace {

TEST(TorchNoise, UsesTheLow32BitsOfTheSeed) {
  const Shape shape = {1, 4, 8, 8};
  EXPECT_TRUE(torch::equal(make_torch_noise(7)(shape), make_torch_noise((9ull << 32) + 7)(shape)));
  EXPECT_FALSE(torch::equal(make_torch_noise(7)(shape), make_torch_noise(8)(shape)));
}

TEST(TorchNoise, LeavesTheGlobalGeneratorAlone) {
  torch::manual_seed(5);
  const Tensor before = torch::randn({16});
  torch::manual_seed(5);
  make_torch_noise(1)({4, 4, 4});
  EXPECT_TRUE(torch::equal(torch::randn({16}), before));
}

TEST(PhiloxNoise, UsesAll64BitsOfTheSeed) {
  const Shape shape = {64};
  EXPECT_FALSE(
      torch::equal(make_philox_noise(7)(shape), make_philox_noise((9ull << 32) + 7)(shape)));
}

TEST(PhiloxNoise, HasUnitNormalMoments) {
  const Tensor noise = make_philox_noise(3)({4, 128, 128});
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.02);  // five standard errors
  EXPECT_NEAR(noise.std().item<double>(), 1, 0.014);
}

TEST(PhiloxNoise, CopiesContinueOneStream) {
  const NoiseSource noise = make_philox_noise(11), copy = noise;
  const NoiseSource alone = make_philox_noise(11);
  noise({8});
  alone({8});
  EXPECT_TRUE(torch::equal(copy({8}), alone({8})));
}

TEST(BatchNoise, ImageEqualsTheSingleRunWithItsSeed) {
  const NoiseSource batch = make_batch_noise({make_torch_noise(1), make_philox_noise(2)});
  const NoiseSource one = make_torch_noise(1), two = make_philox_noise(2);
  for (int draw = 0; draw < 2; ++draw) {
    const Tensor noise = batch({2, 4, 8, 8});
    EXPECT_TRUE(torch::equal(noise.narrow(0, 0, 1), one({1, 4, 8, 8})));
    EXPECT_TRUE(torch::equal(noise.narrow(0, 1, 1), two({1, 4, 8, 8})));
  }
}

TEST(BatchNoise, RefusesAnotherBatchSize) {
  const NoiseSource batch = make_batch_noise({make_torch_noise(1), make_torch_noise(2)});
  EXPECT_THROW(batch({3, 4, 8, 8}), Error);
  EXPECT_THROW(batch({}), Error);
}

// The numbers are numpy 1.24's.

TEST(SeedSequence, EqualsNumpyWithItsDefaultPool) {
  EXPECT_EQ(seed_words({42}, 4),
            (std::vector<uint32_t>{3444837047, 2669555309, 2046530742, 3581440988}));
}

TEST(SeedSequence, StartsAgainAtTheFirstWordOfThePool) {
  const auto words = seed_words({42}, 6);
  EXPECT_EQ(words.size(), 6u);
  EXPECT_NE(words[4], words[0]);
}

TEST(SeedSequence, KeepsKeyAndEntropyApart) {
  EXPECT_NE(seed_words({1, {2}}, 1), seed_words({1, {2, 0}}, 1));
  EXPECT_NE(seed_words({1 + (2ull << 32), {}}, 1), seed_words({1, {2}}, 1));
}

TEST(SeedSequence, RefusesASmallPool) { EXPECT_THROW(seed_words({1, {}, 3}, 1), Error); }

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
