#include "workbench/lora_ranks.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

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
