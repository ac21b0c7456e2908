#include "base/gaussian_blur.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(GaussianBlur, LeavesConstantsAndSpreadsAPointEvenly) {
  const Tensor flat = torch::full({2, 3, 8, 6}, 1.5, torch::kFloat64);
  EXPECT_TRUE(torch::allclose(gaussian_blur(flat, 9, 2), flat));
  Tensor point = torch::zeros({1, 1, 21, 21}, torch::kFloat64);
  point[0][0][10][10] = 1;
  const Tensor spread = gaussian_blur(point, 9, 1.2);
  EXPECT_NEAR(spread.sum().item<double>(), 1, 1e-12);
  EXPECT_NEAR((spread[0][0][10][11] / spread[0][0][10][10]).item<double>(),
              std::exp(-0.5 / (1.2 * 1.2)), 1e-12);
  EXPECT_EQ(spread[0][0][10][15].item<double>(), 0) << "beyond the kernel";
}

TEST(GaussianBlur, AKernelWiderThanTheMapIsCut) {
  const Tensor x = torch::randn({1, 2, 4, 9}, torch::kFloat64);
  EXPECT_TRUE(torch::equal(gaussian_blur(x, 601, 100), gaussian_blur(x, 7, 100)));
}

}  // namespace
}  // namespace fourstep
