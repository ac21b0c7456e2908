#include "train/mixed_precision.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(MixedPrecision, ProductsAreBf16WhileItLives) {
  const Tensor weight = at::ones({4, 3}), x = at::ones({2, 3});
  {
    const MixedPrecision mixed("bf16", torch::kCPU);
    EXPECT_EQ(at::linear(x, weight).scalar_type(), torch::kBFloat16);
  }
  EXPECT_EQ(at::linear(x, weight).scalar_type(), torch::kFloat32);
}

TEST(MixedPrecision, AnInnerOneLeavesTheOuterOneOn) {
  const Tensor weight = at::ones({4, 3}), x = at::ones({2, 3});
  const MixedPrecision outer("bf16", torch::kCPU);
  { const MixedPrecision inner("bf16", torch::kCPU); }
  EXPECT_EQ(at::linear(x, weight).scalar_type(), torch::kBFloat16);
}

TEST(MixedPrecision, SeesWeightsThatChangedBetweenTwoSteps) {
  Tensor weight = at::ones({1, 1}).requires_grad_(true);
  for (const float value : {1.f, 2.f}) {
    {
      const torch::NoGradGuard no_grad;
      weight.fill_(value);
    }
    const MixedPrecision mixed("bf16", torch::kCPU);
    EXPECT_EQ(at::linear(at::ones({1, 1}), weight).item<float>(), value);
  }
}

TEST(MixedPrecision, GradientsArriveInFp32) {
  Tensor weight = at::full({4, 3}, 0.5).requires_grad_(true);
  Tensor loss;
  {
    const MixedPrecision mixed("bf16", torch::kCPU);
    loss = at::linear(at::ones({2, 3}), weight).to(torch::kFloat32).sum();
  }
  loss.backward();
  EXPECT_TRUE(torch::equal(weight.grad(), at::full({4, 3}, 2.f)));
}

TEST(MixedPrecision, Fp32ChangesNothingAndOtherWordsAreRefused) {
  const MixedPrecision same("fp32", torch::kCPU);
  EXPECT_EQ(at::linear(at::ones({2, 3}), at::ones({4, 3})).scalar_type(), torch::kFloat32);
  try {
    MixedPrecision("half", torch::kCPU);
    FAIL();
  } catch (const InvalidRequest& error) {
    EXPECT_STREQ(error.what(), "--precision \"half\" is unknown for training; use fp32 or bf16");
  }
}

}  // namespace
}  // namespace fourstep
