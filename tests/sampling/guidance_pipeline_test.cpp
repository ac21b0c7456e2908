#include "sampling/guidance_pipeline.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

/// Counts its calls; estimates are 3 with the prompt and 1 without.
struct ToyNetwork {
  int conds = 0, pairs = 0;
  Tensor seen_uncond;

  double run(const GuidancePipeline& pipeline, double sigma) {
    const Tensor x = torch::zeros({1, 4, 2, 2}, torch::kFloat64);
    const Denoiser cond = [&](const Tensor& at, const Tensor&) {
      ++conds;
      return torch::full_like(at, 3);
    };
    const PairDenoiser pair = [&](const Tensor& at, const Tensor&) {
      ++pairs;
      return CondUncond{torch::full_like(at, 3), torch::full_like(at, 1)};
    };
    const Tensor result =
        guided_estimate(pipeline, cond, pair, x, torch::full({1}, sigma), &seen_uncond);
    return result.max().item<double>();
  }
};

const std::vector<double> kSigmas = {14, 3, 1, 0.3, 0};

EstimateStage plus_one(StageNeed need, SigmaInterval interval = {}) {
  return {"plus one", need,
          [](const GuidanceCall&, const CondUncond&, const Tensor& d) { return d + 1; }, interval};
}

TEST(GuidancePipeline, ANoiseLevelBelongsToTheStepThatStartsAtOrAboveIt) {
  EXPECT_EQ(position_of(kSigmas, 14).step, 0);
  EXPECT_EQ(position_of(kSigmas, static_cast<double>(14.0f)).step, 0);
  EXPECT_EQ(position_of(kSigmas, 7).step, 0);
  EXPECT_EQ(position_of(kSigmas, 3).step, 1);
  EXPECT_EQ(position_of(kSigmas, static_cast<double>(0.3f)).step, 3) << "0.3f is above 0.3";
  EXPECT_EQ(position_of(kSigmas, 0).step, 3);
  EXPECT_EQ(position_of(kSigmas, 99).step, 0);
  EXPECT_EQ(position_of(kSigmas, 3).num_steps, 4);
}

TEST(GuidancePipeline, ScalesFollowTheStepsAndTheLastGoesOn) {
  const GuidancePipeline pipeline{.sigmas = kSigmas, .scales = {2, 1, 4}};
  ToyNetwork network;
  EXPECT_EQ(network.run(pipeline, 14), 5);
  EXPECT_EQ(network.run(pipeline, 3), 3);
  EXPECT_EQ(network.run(pipeline, 1), 9);
  EXPECT_EQ(network.run(pipeline, 0.3), 9);
  EXPECT_EQ(network.conds, 1) << "the step at scale 1";
  EXPECT_EQ(network.pairs, 3);
}

TEST(GuidancePipeline, OutsideItsIntervalCfgCostsNothing) {
  const GuidancePipeline pipeline{
      .sigmas = kSigmas, .scales = {2}, .cfg_interval = {.from = 5, .to = 1}};
  ToyNetwork network;
  EXPECT_EQ(network.run(pipeline, 14), 3);
  EXPECT_EQ(network.run(pipeline, 3), 5);
  EXPECT_EQ(network.run(pipeline, 0.3), 3);
  EXPECT_EQ(network.pairs, 1);
}

TEST(GuidancePipeline, UncondIsCalledOnlyWhereSomethingNeedsIt) {
  GuidancePipeline pipeline{.sigmas = kSigmas, .scales = {1}};
  ToyNetwork network;
  pipeline.after = {plus_one(StageNeed::kNothing)};
  EXPECT_EQ(network.run(pipeline, 3), 4);
  EXPECT_FALSE(network.seen_uncond.defined());
  pipeline.after = {plus_one(StageNeed::kCfg)};
  EXPECT_EQ(network.run(pipeline, 3), 3) << "a stage that needs CFG is left out at scale 1";
  EXPECT_EQ(network.pairs, 0);
  pipeline.after = {plus_one(StageNeed::kUncond, {.from = 5, .to = 1})};
  EXPECT_EQ(network.run(pipeline, 3), 4);
  EXPECT_EQ(network.run(pipeline, 14), 3);
  EXPECT_EQ(network.pairs, 1);
  pipeline = {.sigmas = kSigmas, .scales = {1}, .needs_uncond = true};
  EXPECT_EQ(network.run(pipeline, 3), 3);
  EXPECT_EQ(network.seen_uncond.max().item<double>(), 1);
}

TEST(GuidancePipeline, StagesActBeforeInPlaceOfAndAfterTheCombination) {
  GuidancePipeline pipeline{.sigmas = kSigmas, .scales = {2}};
  pipeline.before.push_back(
      {"double cond", StageNeed::kCfg, [](const GuidanceCall&, const CondUncond& pair) {
         return CondUncond{pair.cond * 2, pair.uncond * 5};
       }});
  pipeline.after = {plus_one(StageNeed::kNothing)};
  ToyNetwork network;
  EXPECT_EQ(network.run(pipeline, 3), 5 + 2 * (6 - 5) + 1);
  EXPECT_EQ(network.seen_uncond.max().item<double>(), 5) << "as it enters the combination";
  pipeline.combine = CombineStage{
      "sum",
      StageNeed::kCfg,
      [](const GuidanceCall&, const CondUncond& pair) { return pair.cond + pair.uncond; },
      {.from = 5, .to = 1}};
  EXPECT_EQ(network.run(pipeline, 3), 6 + 5 + 1);
  EXPECT_EQ(network.run(pipeline, 14), 5 + 2 * (6 - 5) + 1) << "outside its interval: plain CFG";
}

}  // namespace
}  // namespace fourstep
