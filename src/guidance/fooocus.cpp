#include "guidance/fooocus.h"

#include <cmath>

namespace fourstep {

namespace {

struct SharpnessStage : GuidanceStage {
  SharpnessStage(double sharpness, const GuidanceRun& run) : sharpness(sharpness), run(run) {}

  void before(const GuidanceCall& call, CondUncond& pair) override {
    pair.cond = sharpened_cond(call.x, pair.cond, sharpness, run.progress(call));
  }

  double sharpness;
  GuidanceRun run;
};

struct AdaptiveCfgStage : GuidanceStage {
  AdaptiveCfgStage(double limit, const GuidanceRun& run) : limit(limit), run(run) {}

  Tensor combine(const GuidanceCall& call, const CondUncond& pair) override {
    return combine_adaptive(pair, call.cfg_scale, limit, run.progress(call));
  }

  double limit;
  GuidanceRun run;
};

}  // namespace

MethodFacts SharpnessOptions::facts() { return {.name = "sharpness", .need = StageNeed::kCfg}; }

std::unique_ptr<GuidanceStage> SharpnessOptions::make_stage(const GuidanceRun& run) const {
  return std::make_unique<SharpnessStage>(sharpness, run);
}

MethodFacts AdaptiveCfgOptions::facts() {
  return {.name = "adaptive_cfg", .need = StageNeed::kCfg, .replaces_combination = true};
}

std::unique_ptr<GuidanceStage> AdaptiveCfgOptions::make_stage(const GuidanceRun& run) const {
  return std::make_unique<AdaptiveCfgStage>(limit, run);
}

Tensor joint_bilateral_filter(const Tensor& values, const Tensor& guide) {
  constexpr int64_t kRadius = 6;
  constexpr double kVariance = 3.0 * 3.0;
  const int64_t height = values.size(2), width = values.size(3);
  const auto pad = [](const Tensor& t) {
    return at::reflection_pad2d(t, {kRadius, kRadius, kRadius, kRadius});
  };
  const Tensor padded = pad(values), padded_guide = pad(guide);
  Tensor sum = at::zeros_like(values), weights = at::zeros_like(values.narrow(1, 0, 1));
  for (int64_t dy = 0; dy <= 2 * kRadius; ++dy) {
    for (int64_t dx = 0; dx <= 2 * kRadius; ++dx) {
      const auto window = [&](const Tensor& t) {
        return t.narrow(2, dy, height).narrow(3, dx, width);
      };
      const double distance = std::hypot(dy - kRadius, dx - kRadius);
      const Tensor colour = (window(padded_guide) - guide).abs().sum(1, true);
      const Tensor weight = ((colour.square() + distance * distance) * (-0.5 / kVariance)).exp();
      sum.addcmul_(weight, window(padded));
      weights.add_(weight);
    }
  }
  return sum / weights;
}

Tensor sharpened_cond(const Tensor& x, const Tensor& cond, double sharpness, double progress) {
  const Tensor guide = (cond - cond.mean({1, 2, 3}, true)) / (std_per_sample(cond) + 1e-5);
  const Tensor eps = x - cond;
  return x - at::lerp(eps, joint_bilateral_filter(eps, guide), 0.001 * sharpness * progress);
}

Tensor combine_adaptive(const CondUncond& pair, double scale, double limit, double progress) {
  const Tensor full = combine_cfg(pair, scale);
  return scale <= limit ? full : at::lerp(combine_cfg(pair, limit), full, progress);
}

}  // namespace fourstep
