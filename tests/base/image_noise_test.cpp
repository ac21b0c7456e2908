#include "base/image_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"

namespace fourstep {
namespace {

const Shape kLatentShape = {1, 4, 8, 8};

ImageSeed everything_at_once(uint64_t seed, NoiseOrigin origin) {
  return {.seed = seed,
          .variation_seed = 1000,
          .variation_strength = 0.3,
          .ensd = 31337,
          .resize_from_width = 32,
          .resize_from_height = 96,
          .origin = origin};
}

TEST(ImageNoise, ImageOfABatchEqualsTheSingleRun) {
  const std::vector<ImageSeed> seeds = {{.seed = 5},
                                        everything_at_once(6, NoiseOrigin::kTorch),
                                        everything_at_once(7, NoiseOrigin::kPhilox)};
  const NoiseSource batch = make_image_noise(seeds);
  std::vector<NoiseSource> single;
  for (const ImageSeed& seed : seeds) single.push_back(make_image_noise(seed));
  for (int draw = 0; draw < 3; ++draw) {
    const Tensor noise = batch({3, 4, 8, 8});
    for (size_t i = 0; i < seeds.size(); ++i) {
      EXPECT_TRUE(
          torch::equal(noise.narrow(0, static_cast<int64_t>(i), 1), single[i](kLatentShape)))
          << "image " << i << ", draw " << draw;
    }
  }
}

TEST(ImageNoise, APlainSeedIsItsGenerator) {
  const NoiseSource noise = make_image_noise(ImageSeed{.seed = 3}), plain = make_torch_noise(3);
  for (int draw = 0; draw < 2; ++draw)
    EXPECT_TRUE(torch::equal(noise(kLatentShape), plain(kLatentShape)));
}

TEST(ImageNoise, CopiesContinueOneStream) {
  const NoiseSource noise = make_image_noise(ImageSeed{.seed = 3, .ensd = 1}), copy = noise;
  const NoiseSource alone = make_image_noise(ImageSeed{.seed = 3, .ensd = 1});
  noise(kLatentShape);
  alone(kLatentShape);
  EXPECT_TRUE(torch::equal(copy(kLatentShape), alone(kLatentShape)));
}

TEST(ImageNoise, ResizingFromTheOwnSizeChangesNothing) {
  const NoiseSource noise =
      make_image_noise(ImageSeed{.seed = 3, .resize_from_width = 64, .resize_from_height = 64});
  EXPECT_TRUE(torch::equal(noise(kLatentShape), make_torch_noise(3)(kLatentShape)));
}

TEST(ImageNoise, OddDifferencesOfSizeStayInside) {
  for (const int64_t side : {8, 56, 72, 88, 1000}) {
    const NoiseSource noise =
        make_image_noise(ImageSeed{.seed = 3, .resize_from_width = side, .resize_from_height = 72});
    EXPECT_TRUE(noise(kLatentShape).isfinite().all().item<bool>()) << side;
  }
}

TEST(ImageNoise, RefusesWhatNoImageHas) {
  EXPECT_THROW(make_image_noise(ImageSeed{.variation_strength = 1.5}), InvalidRequest);
  EXPECT_THROW(make_image_noise(ImageSeed{.variation_strength = std::nan("")}), InvalidRequest);
  EXPECT_THROW(make_image_noise(ImageSeed{.resize_from_width = 4}), InvalidRequest);
  EXPECT_THROW(make_image_noise(ImageSeed{.resize_from_height = -8}), InvalidRequest);
  EXPECT_THROW(make_image_noise(ImageSeed{.variation_strength = 0.5})({4, 8, 8}), Error);
}

TEST(BatchSeeds, CountTheSeedOrTheVariation) {
  const auto plain = batch_seeds({.seed = 7}, 3);
  ASSERT_EQ(plain.size(), 3u);
  EXPECT_EQ(plain[2].seed, 9u);
  const auto varied = batch_seeds({.seed = 7, .variation_seed = 20, .variation_strength = 0.1}, 3);
  EXPECT_EQ(varied[2].seed, 7u);
  EXPECT_EQ(varied[2].variation_seed, 22u);
}

TEST(Slerp, StaysFiniteWhereColumnsAreParallel) {
  const Tensor low = torch::ones({1, 1, 1, 4}), high = torch::tensor({1.f, -1.f, 1.f, 2.f});
  EXPECT_TRUE(slerp(0.5, low, high.reshape({1, 1, 1, 4})).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace fourstep
