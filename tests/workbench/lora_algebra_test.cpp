#include "workbench/lora_algebra.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "loras.h"

namespace fourstep {

namespace {

double total_of(const Tensor& tensor) { return tensor.sum().item<double>(); }

Tensor dense(const LoraModule& module) { return full_delta(by_id({{kQuery, module}}), kQuery); }

TEST(LoraAlgebra, InnerProductsOfFactorsAreThoseOfTheDifferences) {
  torch::manual_seed(1);
  const LoraModule a = random_module(kQuery, 4, 2), b = random_module(kQuery, 7, 7);
  const double expected = total_of(dense(a) * dense(b));
  EXPECT_NEAR(inner(a, b), expected, 1e-10 * norm_of(dense(a)) * norm_of(dense(b)));
  EXPECT_NEAR(norm_squared(a), total_of(dense(a).square()), 1e-10 * norm_squared(a));
  EXPECT_NEAR(distance_squared(a, b, 3), total_of((dense(a) - dense(b) * 3).square()),
              1e-10 * norm_squared(a));
}

TEST(LoraAlgebra, ConvolutionsAndFullDifferencesAreTheSameVectors) {
  torch::manual_seed(2);
  const LoraModule a = random_module(kConvolution, 4, 8);
  const LoraModule full{FullDiff{delta(a, shape_in_sdxl(kConvolution))}, {}, {}, {}};
  EXPECT_NEAR(norm_squared(full), norm_squared(a), 1e-5 * norm_squared(a));
  EXPECT_NEAR(inner(full, a), norm_squared(a), 1e-5 * norm_squared(a));
  EXPECT_LT(distance_squared(full, a), 1e-10 * norm_squared(a));
}

TEST(LoraAlgebra, TheDistanceOfNearlyEqualFactorsDoesNotCancel) {
  torch::manual_seed(3);
  const LoraModule a = random_module(kQuery, 4, 4);
  LoraModule b = a;
  auto& up = std::get<LowRank>(b.weight).up;
  up = up.to(torch::kDouble) * (1 + 1e-12);
  EXPECT_EQ(distance_squared(a, a), 0);
  EXPECT_NEAR(std::sqrt(distance_squared(a, b) / norm_squared(a)), 1e-12, 1e-15);
}

TEST(LoraAlgebra, DifferentExtentsAreAnError) {
  EXPECT_THROW(inner(random_module(kQuery, 4, 4), random_module(kText, 4, 4)), Error);
}

TEST(LoraAlgebra, FactorsHaveTheSingularValuesOfTheirProduct) {
  torch::manual_seed(4);
  const LoraModule a = random_module(kQuery, 6, 3);
  const Decomposition parts = decompose(a);
  const Tensor expected = torch::linalg_svdvals(dense(a)).narrow(0, 0, 6);
  EXPECT_LT(norm_of(parts.s - expected), 1e-10 * norm_of(expected));
  const Tensor again = torch::mm(parts.u * parts.s, parts.v);
  EXPECT_LT(norm_of(again - dense(a)), 1e-12 * norm_of(dense(a)));
}

TEST(LoraAlgebra, AModuleOfAllValuesIsTheMatrix) {
  torch::manual_seed(5);
  const LoraModule a = random_module(kConvolution, 5, 5);
  const LoraModule again =
      module_from(decompose(a), 5, shape_in_sdxl(kConvolution), torch::kDouble);
  EXPECT_EQ(shape_of(std::get<LowRank>(again.weight).down), (Shape{5, 320, 3, 3}));
  EXPECT_EQ(shape_of(std::get<LowRank>(again.weight).up), (Shape{320, 5, 1, 1}));
  EXPECT_EQ(factor_of(again), 1);
  EXPECT_LT(distance_squared(again, a), 1e-24 * norm_squared(a));
}

TEST(LoraAlgebra, TheRandomisedDecompositionFindsTheLargestValues) {
  torch::manual_seed(6);
  // Rank 8 above noise of a thousandth: what a LoRA inside rounding looks like.
  const Tensor low = torch::mm(torch::randn({900, 8}), torch::randn({8, 1200}));
  const Tensor matrix = low + 1e-3 * torch::randn({900, 1200});
  const Decomposition parts = decompose_largest(matrix, 8);
  const Tensor expected = torch::linalg_svdvals(matrix.to(torch::kDouble)).narrow(0, 0, 8);
  EXPECT_LT(norm_of(parts.s.narrow(0, 0, 8) - expected), 1e-5 * norm_of(expected));
}

TEST(LoraAlgebra, TheRandomisedDecompositionIsTheSameEachTime) {
  torch::manual_seed(7);
  const Tensor matrix = torch::randn({500, 600});
  EXPECT_TRUE(torch::equal(decompose_largest(matrix, 4).u, decompose_largest(matrix, 4).u));
}

int64_t rank(RankRule rule, double target, int64_t most = 100) {
  const Tensor s = torch::tensor({4.0, 3.0, 2.0, 1.0}, torch::kDouble);
  return choose_rank(s, {rule, target, most});
}

TEST(LoraRanks, FixedIsBoundedByTheNumberOfValues) {
  EXPECT_EQ(rank(RankRule::kFixed, 0, 2), 2);
  EXPECT_EQ(rank(RankRule::kFixed, 0, 9), 4);
}

TEST(LoraRanks, RatioKeepsWhatIsAboveTheLargestDividedByIt) {
  EXPECT_EQ(rank(RankRule::kRatio, 2), 2) << "2 is not above 4 / 2";
  EXPECT_EQ(rank(RankRule::kRatio, 2.1), 3);
  EXPECT_EQ(rank(RankRule::kRatio, 1.01), 1);
}

TEST(LoraRanks, CumulativeCountsUntilTheShareOfTheSumIsReached) {
  EXPECT_EQ(rank(RankRule::kCumulative, 0.4), 1) << "4 of 10";
  EXPECT_EQ(rank(RankRule::kCumulative, 0.41), 2);
  EXPECT_EQ(rank(RankRule::kCumulative, 0.9), 3);
  EXPECT_EQ(rank(RankRule::kCumulative, 1), 4);
}

TEST(LoraRanks, FrobeniusCountsUntilTheShareOfTheNormIsReached) {
  EXPECT_EQ(rank(RankRule::kFrobenius, 0.73), 1) << "4 / sqrt(30) = 0.7303";
  EXPECT_EQ(rank(RankRule::kFrobenius, 0.74), 2);
  EXPECT_EQ(rank(RankRule::kFrobenius, 0.98), 3) << "sqrt(29 / 30) = 0.983";
  EXPECT_EQ(rank(RankRule::kFrobenius, 0.98, 2), 2) << "bounded";
}

TEST(LoraRanks, WhatIsDiscardedIsTheNormOfTheRest) {
  const Tensor s = torch::tensor({5.0, 4.0, 3.0}, torch::kDouble);
  EXPECT_DOUBLE_EQ(discarded_norm(s, 1), 5);
  EXPECT_EQ(discarded_norm(s, 3), 0);
}

TEST(LoraRanks, NothingButZeroHasRankOne) {
  EXPECT_EQ(choose_rank(torch::zeros({3}, torch::kDouble), {RankRule::kFrobenius, 0.9, 8}), 1);
}

TEST(LoraRanks, TargetsOutOfRangeAreRefused) {
  EXPECT_THROW(check({RankRule::kFixed, 0, 0}), InvalidRequest);
  EXPECT_THROW(check({RankRule::kRatio, 1, 8}), InvalidRequest);
  EXPECT_THROW(check({RankRule::kCumulative, 0, 8}), InvalidRequest);
  EXPECT_THROW(check({RankRule::kFrobenius, 1.01, 8}), InvalidRequest);
  EXPECT_THROW(check({RankRule::kFrobenius, std::nan(""), 8}), InvalidRequest);
  EXPECT_NO_THROW(check({RankRule::kFrobenius, 1, 8}));
}

}  // namespace

}  // namespace fourstep
