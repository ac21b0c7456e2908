#include "inspect/noise_view.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fourstep {
namespace {

Request small(NoiseChoice noise) {
  Request request;
  request.picture.seed = 7;
  request.picture.width = request.picture.height = 128;
  request.noise.origin = noise;
  return request;
}

TEST(NoiseView, ShowsTorchsNoise) {
  // torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(7)) of PyTorch 2.13, hashed by hashlib.
  const NoiseView view = view_noise(resolve(small(NoiseChoice::kTorch), {})).at(0);
  EXPECT_EQ(view.shape, (Shape{1, 4, 16, 16}));
  EXPECT_EQ(view.first.size(), 8u);
  EXPECT_FLOAT_EQ(view.first[0], -0.8201345205307007);
  EXPECT_FLOAT_EQ(view.first[1], 0.39563116431236267);
  EXPECT_NEAR(view.mean, 0.011357880900504824, 1e-7);
  EXPECT_NEAR(view.deviation, 0.9868292548451959, 1e-7);
  if (view.sha256) {
    EXPECT_EQ(*view.sha256, "1202b953f8d50890f2bb4983c255a9a6a6eef99584102364c3d1be1edf4e638d");
  }
}

TEST(NoiseView, EachImageIsThatOfItsOwnSeed) {
  Request three = small(NoiseChoice::kNv), second = small(NoiseChoice::kNv);
  three.picture.images = 3;
  second.picture.seed = 8;
  const auto views = view_noise(resolve(three, {}));
  ASSERT_EQ(views.size(), 3u);
  EXPECT_EQ(views[1].seed, 8u);
  EXPECT_EQ(views[1].first, view_noise(resolve(second, {})).at(0).first);
  EXPECT_NE(views[0].first, view_noise(resolve(small(NoiseChoice::kTorch), {})).at(0).first)
      << "another source";
  EXPECT_EQ(noise_table(views).rows.size(), 3u);
  EXPECT_EQ(json_from(views[0])["shape"].dump(), "[1,4,16,16]");
}

}  // namespace
}  // namespace fourstep
