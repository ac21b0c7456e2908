#include "nets/embeddings.h"

#include "nets_golden.h"

namespace fourstep {
namespace {

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
