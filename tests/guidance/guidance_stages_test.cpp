#include "guidance/guidance_stages.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "guidance/degraded_guidance.h"

namespace fourstep {
namespace {

const std::vector<double> kSigmas = {14, 3, 1, 0.3, 0};

/// Estimates are 3 with the prompt and 1 without; degraded ones a part of x by the kind.
struct ToyNetwork : NetworkCalls {
  Tensor degraded_cond(const GuidanceCall& call, const DegradedLayers& layers) override {
    return call.x * (1.0 / (2 + static_cast<int>(layers.kind)));
  }
  Tensor uncond_at(const GuidanceCall&, const Tensor& x) override { return x; }
  Tensor empty(const GuidanceCall& call) override { return call.x; }

  double run(const GuidanceStages& stages, double sigma) {
    const Tensor x = torch::zeros({1, 4, 2, 2}, torch::kFloat64), level = torch::full({1}, sigma);
    const Prompts prompts;
    const GuidanceCall call = stages.call_at(0, x, level, prompts, *this);
    pair = {torch::full_like(x, 3), {}};
    if (stages.needs_uncond(call)) {
      pair.uncond = torch::full_like(x, 1);
      ++pairs;
    }
    return stages.guide(call, pair).max().item<double>();
  }

  CondUncond pair;  ///< as it entered the combination
  int pairs = 0;    ///< calls with uncond
};

struct PlusOne : GuidanceStage {
  Tensor after(const GuidanceCall&, const CondUncond&, const Tensor& denoised) override {
    return denoised + 1;
  }
};

struct DoubleCond : GuidanceStage {
  void before(const GuidanceCall&, CondUncond& pair) override {
    pair = {pair.cond * 2, pair.uncond * 5};
  }
};

struct Sum : GuidanceStage {
  Tensor combine(const GuidanceCall&, const CondUncond& pair) override {
    return pair.cond + pair.uncond;
  }
};

/// Stages cannot be copied, so each is added by hand.
template <typename Stage>
void add(GuidanceStages& stages, StageNeed need, SigmaInterval interval = {},
         bool replaces_combination = false) {
  stages.active.push_back({need, replaces_combination, interval, std::make_unique<Stage>()});
}

TEST(GuidanceStages, ScalesFollowTheStepsAndTheLastGoesOn) {
  const GuidanceStages stages{.sigmas = kSigmas, .scales = {2, 1, 4}};
  ToyNetwork network;
  EXPECT_EQ(network.run(stages, 14), 5);
  EXPECT_EQ(network.run(stages, 3), 3);
  EXPECT_EQ(network.run(stages, 1), 9);
  EXPECT_EQ(network.run(stages, 0.3), 9);
  EXPECT_EQ(network.pairs, 3) << "not at the step of scale 1";
}

TEST(GuidanceStages, OutsideItsIntervalCfgCostsNothing) {
  const GuidanceStages stages{.sigmas = kSigmas, .scales = {2}, .cfg_interval = {5, 1}};
  ToyNetwork network;
  EXPECT_EQ(network.run(stages, 14), 3);
  EXPECT_EQ(network.run(stages, 3), 5);
  EXPECT_EQ(network.run(stages, 0.3), 3);
  EXPECT_EQ(network.pairs, 1);
}

TEST(GuidanceStages, UncondIsThereOnlyWhereSomethingNeedsIt) {
  ToyNetwork network;
  GuidanceStages nothing{.sigmas = kSigmas, .scales = {1}};
  add<PlusOne>(nothing, StageNeed::kNothing);
  EXPECT_EQ(network.run(nothing, 3), 4);
  GuidanceStages cfg{.sigmas = kSigmas, .scales = {1}};
  add<PlusOne>(cfg, StageNeed::kCfg);
  EXPECT_EQ(network.run(cfg, 3), 3) << "a stage that needs CFG is left out at scale 1";
  EXPECT_EQ(network.pairs, 0);
  GuidanceStages uncond{.sigmas = kSigmas, .scales = {1}};
  add<PlusOne>(uncond, StageNeed::kUncond, {5, 1});
  EXPECT_EQ(network.run(uncond, 3), 4);
  EXPECT_EQ(network.run(uncond, 14), 3);
  EXPECT_EQ(network.pairs, 1);
  const GuidanceStages sampler{.sigmas = kSigmas, .scales = {1}, .sampler_needs_uncond = true};
  EXPECT_EQ(network.run(sampler, 3), 3);
  EXPECT_EQ(network.pair.uncond.max().item<double>(), 1);
}

TEST(GuidanceStages, ActBeforeInPlaceOfAndAfterTheCombination) {
  GuidanceStages stages{.sigmas = kSigmas, .scales = {2}};
  add<DoubleCond>(stages, StageNeed::kCfg);
  add<PlusOne>(stages, StageNeed::kNothing);
  ToyNetwork network;
  EXPECT_EQ(network.run(stages, 3), 5 + 2 * (6 - 5) + 1);
  EXPECT_EQ(network.pair.uncond.max().item<double>(), 5) << "as it enters the combination";
  add<Sum>(stages, StageNeed::kCfg, {5, 1}, /*replaces_combination=*/true);
  EXPECT_EQ(network.run(stages, 3), 6 + 5 + 1);
  EXPECT_EQ(network.run(stages, 14), 5 + 2 * (6 - 5) + 1) << "outside its interval: plain CFG";
}

TEST(GuidanceStages, EstimatesThatWereMadeWorseAddUpInAnyOrder) {
  const GuidanceRun run{make_sdxl_noise_schedule()};
  const Tensor x = at::randn({1, 4, 4, 4}, torch::kFloat64), sigma = at::full({1}, 3.0);
  ToyNetwork network;
  const Prompts prompts;
  std::vector<int> order{0, 1, 2};
  const Tensor cond = x * 0.9;
  const Tensor expected = cond + 3 * (cond - x / 2) + 2 * (cond - x / 3) + 1.5 * (cond - x / 4);
  int orders = 0;
  do {
    GuidanceStages stages{.sigmas = kSigmas, .scales = {1}};
    for (const int one : order) {
      std::unique_ptr<GuidanceStage> made[] = {PagOptions{.scale = 3}.make_stage(run),
                                               SegOptions{.scale = 2}.make_stage(run),
                                               SlgOptions{.scale = 1.5}.make_stage(run)};
      stages.active.push_back({StageNeed::kNothing, false, {}, std::move(made[one])});
    }
    CondUncond pair{cond, {}};
    const Tensor got = stages.guide(stages.call_at(0, x, sigma, prompts, network), pair);
    EXPECT_LE((got - expected).abs().max().item<double>(), 1e-12);
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(orders, 6);
}

}  // namespace
}  // namespace fourstep
