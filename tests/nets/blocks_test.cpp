#include "nets/blocks.h"

#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;

TEST(ResBlock, EqualsItsFormula) {
  ResBlock block = with_random_weights(ResBlock(32, 64, ResBlockOptions{.time_channels = 8}));
  const Tensor x = seeded_randn({2, 32, 5, 4}, 1), temb = seeded_randn({2, 8}, 2);
  const auto norm = [](const Tensor& t, GroupNorm& n) {
    return at::silu(at::group_norm(t, 32, n->weight, n->bias, 1e-5));
  };
  Tensor h = at::conv2d(norm(x, block->norm1), block->conv1->weight, block->conv1->bias, 1, 1);
  const Linear& time = block->time_emb_proj;
  h = h + at::linear(at::silu(temb), time->weight, time->bias).unsqueeze(-1).unsqueeze(-1);
  h = at::conv2d(norm(h, block->norm2), block->conv2->weight, block->conv2->bias, 1, 1);
  h = h + at::conv2d(x, block->conv_shortcut->weight, block->conv_shortcut->bias);
  EXPECT_LE(max_error(block(x, temb), h), 1e-6);
}

TEST(ResBlock, LeavesItsInputAlone) {
  ResBlock block = with_random_weights(ResBlock(32, 32, ResBlockOptions{}));
  const Tensor x = seeded_randn({1, 32, 4, 4}, 1), copy = x.clone();
  block(x);
  EXPECT_TRUE(torch::equal(x, copy));
}

TEST(Downsampler, RoundsOddSizesByItsPadding) {
  const Tensor x = seeded_randn({1, 32, 7, 9}, 1);
  const auto size_with = [&](DownsamplePadding padding) {
    return shape_of(with_random_weights(Downsampler(32, padding))(x));
  };
  EXPECT_EQ(size_with(DownsamplePadding::kAllSides), (Shape{1, 32, 4, 5}));
  EXPECT_EQ(size_with(DownsamplePadding::kRightBottom), (Shape{1, 32, 3, 4}));
}

TEST(Upsampler, TakesTheNearestRowBelow) {
  Upsampler upsampler(1);
  Tensor identity = torch::zeros({1, 1, 3, 3});
  identity[0][0][1][1] = 1;
  load_weights(*upsampler, {{"conv.weight", identity}, {"conv.bias", torch::zeros({1})}},
               {torch::kFloat32, torch::kCPU}, "test");
  const Tensor x = torch::tensor({10.f, 20.f, 30.f, 40.f}).reshape({1, 1, 4, 1});
  const Tensor got = upsampler(x, 7, 1).flatten();  // source row floor(i * 4 / 7)
  EXPECT_EQ(to_doubles(got), (std::vector<double>{10, 10, 20, 20, 30, 30, 40}));
}

TEST(SiluOfTemporary, WorksInPlaceOnlyWithoutGradient) {
  const Tensor x = seeded_randn({5}, 1), expected = at::silu(x);
  Tensor plain = x.clone(), with_gradient = x.clone().requires_grad_();
  EXPECT_EQ(silu_of_temporary(plain).data_ptr(), plain.data_ptr());
  EXPECT_TRUE(torch::equal(plain, expected));
  EXPECT_TRUE(torch::equal(silu_of_temporary(with_gradient), expected));
  EXPECT_TRUE(torch::equal(with_gradient, x));
}

TEST(Embeddings, CosinesComeFirstAndTimestepsMayBeFractional) {
  const Tensor got = sinusoidal_embedding(torch::tensor({0.0, 37.25, 999.0}), 8);
  ASSERT_EQ(got.sizes(), (Shape{3, 8}));
  EXPECT_EQ(got.scalar_type(), torch::kFloat32);
  const double timesteps[] = {0.0, 37.25, 999.0};
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t i = 0; i < 4; ++i) {
      const double angle = timesteps[row] * std::pow(10000.0, -i / 4.0);
      EXPECT_NEAR(got[row][i].item<double>(), std::cos(angle), 1e-4);
      EXPECT_NEAR(got[row][i + 4].item<double>(), std::sin(angle), 1e-4);
    }
  }
}

TEST(Embeddings, EachNumberOfAListGetsItsOwnVector) {
  const Tensor list = torch::tensor({{1024, 0, 16}, {512, 8, 1}});
  const Tensor got = sinusoidal_embedding(list, 32);
  ASSERT_EQ(got.sizes(), (Shape{2, 3, 32}));
  EXPECT_TRUE(torch::equal(got[1][0], sinusoidal_embedding(torch::tensor(512), 32)));
}

}  // namespace
}  // namespace fourstep
