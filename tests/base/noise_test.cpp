#include "base/noise.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace fourstep
