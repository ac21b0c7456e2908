#include "workbench/rounding_loss.h"

#include <gtest/gtest.h>

#include "workbench/random_lora.h"

namespace fourstep {
namespace {

using testing::random_normal;

struct Row {
  double change;
  double fp16_error, fp16_unchanged, bf16_error, bf16_unchanged;
};

/// A simulation in numpy (weights of deviation 0.03, 1280x1280, rank 64), rounded to three and two digits.
constexpr Row kTable[] = {{0.05, 0.004, 0.00, 0.033, 0.04},
                          {0.01, 0.021, 0.02, 0.166, 0.18},
                          {0.003, 0.069, 0.08, 0.486, 0.48},
                          {0.001, 0.207, 0.22, 0.797, 0.78},
                          {0.0003, 0.562, 0.55, 0.939, 0.93}};

SampledRows simulated(double change) {
  const Tensor weight = random_normal({640, 640}, 1) * 0.03;
  const Tensor product = torch::mm(random_normal({640, 64}, 2), random_normal({64, 640}, 3));
  return {weight, product * (change * weight.norm() / product.norm()), 1};
}

TEST(RoundingLoss, LossesAreThoseOfTheSimulation) {
  for (const Row& row : kTable) {
    const SampledRows rows = simulated(row.change);
    const RoundingLoss fp16 = rounding_loss(rows.weight, rows.change, Storage::kFp16);
    const RoundingLoss bf16 = rounding_loss(rows.weight, rows.change, Storage::kBf16);
    EXPECT_NEAR(fp16.error, row.fp16_error, 0.0005 + 0.02 * row.fp16_error) << row.change;
    EXPECT_NEAR(bf16.error, row.bf16_error, 0.0005 + 0.02 * row.bf16_error) << row.change;
    EXPECT_NEAR(fp16.unchanged, row.fp16_unchanged, 0.01) << row.change;
    EXPECT_NEAR(bf16.unchanged, row.bf16_unchanged, 0.01) << row.change;
  }
}

/// The same simulation: what a merge at 0.7 shows in bf16.
TEST(RoundingLoss, StrengthThatArrivesIsThatOfTheSimulation) {
  const auto shown = [](double change, Storage storage) {
    return 0.7 * mean_rounding_loss({simulated(change)}, 0.7, storage).arrived;
  };
  EXPECT_NEAR(shown(0.01, Storage::kFp16), 0.700, 0.002);
  EXPECT_NEAR(shown(0.01, Storage::kBf16), 0.698, 0.004);
  EXPECT_NEAR(shown(0.001, Storage::kFp16), 0.695, 0.004);
  EXPECT_NEAR(shown(0.001, Storage::kBf16), 0.270, 0.02);
  EXPECT_NEAR(shown(0.0003, Storage::kFp16), 0.517, 0.02);
}

TEST(RoundingLoss, WhatWasLostIsAddedAgain) {
  const SampledRows rows = simulated(0.001);
  for (const double strength : {0.5, 1.0, -0.7}) {
    const double shown = strength * mean_rounding_loss({rows}, strength, Storage::kBf16).arrived;
    EXPECT_NEAR(strength_before_rounding({rows}, shown, Storage::kBf16), strength, 0.01);
    EXPECT_NEAR(strength_before_rounding({rows}, strength, Storage::kFp32), strength, 0.001);
  }
}

TEST(RoundingLoss, NothingIsLostInFp32AndOfNothing) {
  const SampledRows rows = simulated(0.01);
  EXPECT_NEAR(rounding_loss(rows.weight, rows.change, Storage::kFp32).error, 0, 1e-5);
  EXPECT_EQ(rounding_loss(rows.weight, rows.change * 0, Storage::kFp16).arrived, 1);
}

TEST(RoundingLoss, RowsComeFromTheMiddle) {
  const LoraModule module{
      LowRank{random_normal({2, 6}, 2), random_normal({10, 2}, 3), {}}, {}, {}, {}};
  const Tensor weight = random_normal({10, 6}, 1);
  const SampledRows rows = sample_rows(weight, module, 4);
  EXPECT_TRUE(torch::equal(rows.weight, weight.narrow(0, 3, 4)));
  EXPECT_TRUE(torch::allclose(rows.change, delta(module, {10, 6}).narrow(0, 3, 4)));
}

}  // namespace
}  // namespace fourstep
