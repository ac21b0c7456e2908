#include "workbench/projection.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "lora/fuse.h"
#include "workbench/random_lora.h"

namespace fourstep {
namespace {

using testing::random_normal;

double product(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kDouble) * b.to(torch::kDouble)).sum().item<double>();
}

/// Against the difference multiplied out.
void expect_projection(const LoraModule& module, const Shape& shape) {
  const Tensor weight = random_normal(shape, 1), change = delta(module, shape);
  const Projection p = project(weight, module);
  const double scale = (weight.norm() * change.norm()).item<double>();
  EXPECT_NEAR(p.dot, product(weight, change), 1e-6 * scale);
  EXPECT_NEAR(p.delta_norm2 / product(change, change), 1, 1e-5);
  EXPECT_NEAR(p.weight_norm2 / product(weight, weight), 1, 1e-6);
  EXPECT_EQ(p.num_elements, weight.numel());
}

TEST(Projection, LowRankNeedsNoFullDifference) {
  expect_projection({LowRank{random_normal({4, 60}, 2), random_normal({50, 4}, 3), {}}, {}, 2, {}},
                    {50, 60});
}

/// More rows than are looked at together.
TEST(Projection, LargeWeightsAreSummedBlockByBlock) {
  expect_projection(
      {LowRank{random_normal({4, 700}, 2), random_normal({3100, 4}, 3), {}}, {}, 2, {}},
      {3100, 700});
  const Tensor weight = random_normal({3100, 700}, 1);
  EXPECT_NEAR(weight_norm2(weight.to(torch::kHalf)) / product(weight, weight), 1, 1e-5);
}

TEST(Projection, ConvolutionsCountAllTheirElements) {
  expect_projection(
      {LowRank{random_normal({4, 6, 3, 3}, 2), random_normal({8, 4, 1, 1}, 3), {}}, {}, 2, {}},
      {8, 6, 3, 3});
}

TEST(Projection, OtherKindsAreMultipliedOut) {
  expect_projection({LowRank{random_normal({4, 6, 1, 1}, 2), random_normal({8, 4, 1, 1}, 3),
                             random_normal({4, 4, 3, 3}, 4)},
                     {},
                     {},
                     {}},
                    {8, 6, 3, 3});
  expect_projection({LoHa{random_normal({8, 3}, 2),
                          random_normal({3, 6}, 3),
                          {},
                          random_normal({8, 3}, 4),
                          random_normal({3, 6}, 5),
                          {}},
                     {},
                     {},
                     {}},
                    {8, 6});
  expect_projection({FullDiff{random_normal({8}, 2)}, {}, {}, {}}, {8});
}

TEST(Projection, OfADifferenceIsTheStrength) {
  const LoraModule module{
      LowRank{random_normal({4, 60}, 2), random_normal({50, 4}, 3), {}}, {}, 2, {}};
  const Tensor base = random_normal({50, 60}, 1);
  const Projection p = project_difference(base + delta(module, {50, 60}) * 0.7, base, module);
  EXPECT_NEAR(p.dot / p.delta_norm2, 0.7, 1e-5);
  EXPECT_THROW(project_difference(base, random_normal({50, 61}, 1), module), Error);
  EXPECT_THROW(project(random_normal({40, 60}, 1), module), Error);
}

}  // namespace
}  // namespace fourstep
