#include "guidance/skimmed_cfg.h"

#include <array>

namespace fourstep {

namespace {

constexpr std::array kSkimModes{Word<SkimMode>{"off", SkimMode::kOff},
                                Word<SkimMode>{"single", SkimMode::kSingle},
                                Word<SkimMode>{"replace", SkimMode::kReplace},
                                Word<SkimMode>{"linear", SkimMode::kLinear},
                                Word<SkimMode>{"dual", SkimMode::kDual},
                                Word<SkimMode>{"difference", SkimMode::kDifference},
                                Word<SkimMode>{"timed_flip", SkimMode::kTimedFlip}};

constexpr std::array kSkimDistances{Word<SkimDistance>{"linear_distance", SkimDistance::kLinear},
                                    Word<SkimDistance>{"squared_distance", SkimDistance::kSquared},
                                    Word<SkimDistance>{"root_distance", SkimDistance::kRoot},
                                    Word<SkimDistance>{"absolute_sum", SkimDistance::kAbsoluteSum}};

/// What all steps of one call share.
struct Skimming {
  const Tensor& x;
  double scale;  ///< of CFG
  bool has_flip_filter;
};

/// a where it does not overshoot; else moved so that going to `scale` ends where `target` would
/// have.
Tensor skim(const Skimming& call, const Tensor& a, const Tensor& b, double scale, double target) {
  const Tensor mask = skimming_mask(call.x, {a, b}, scale, call.has_flip_filter);
  return at::where(mask, a - (a - b) * ((scale - target) / scale), a);
}

CondUncond skim_single(const Skimming& call, const CondUncond& pair, double cond_target,
                       double uncond_target) {
  const Tensor uncond = skim(call, pair.uncond, pair.cond, call.scale, uncond_target);
  return {skim(call, pair.cond, uncond, call.scale - 1, cond_target), uncond};
}

/// uncond, moved towards cond so that scale does what `target` would, where `mask` says.
Tensor interpolate(const Skimming& call, const CondUncond& pair, double target,
                   const Tensor& mask) {
  const double weight = (target - 1) / (call.scale - 1);
  return at::where(mask, at::lerp(pair.cond, pair.uncond, weight), pair.uncond);
}

/// First where cond overshoots, then where the new uncond does.
CondUncond skim_linear(const Skimming& call, const CondUncond& pair, double target) {
  const auto mask = [&](const Tensor& a, const Tensor& b) {
    return skimming_mask(call.x, {a, b}, call.scale, call.has_flip_filter);
  };
  const Tensor first = interpolate(call, pair, target, mask(pair.cond, pair.uncond));
  return {pair.cond, interpolate(call, {pair.cond, first}, target, mask(first, pair.cond))};
}

CondUncond skim_dual(const Skimming& call, const CondUncond& pair, const SkimOptions& options) {
  const auto mask = [&](const Tensor& a, const Tensor& b) {
    return skimming_mask(call.x, {a, b}, call.scale, call.has_flip_filter);
  };
  const Tensor first =
      interpolate(call, pair, options.negative_scale, mask(pair.uncond, pair.cond));
  return {pair.cond, interpolate(call, {pair.cond, first}, options.scale, mask(pair.cond, first))};
}

CondUncond skim_replace(const Skimming& call, const CondUncond& pair) {
  const Tensor over_cond =
      skimming_mask(call.x, {pair.cond, pair.uncond}, call.scale, call.has_flip_filter);
  const Tensor first = at::where(over_cond, pair.cond, pair.uncond);
  const Tensor over_uncond =
      skimming_mask(call.x, {first, pair.cond}, call.scale - 1, call.has_flip_filter);
  return {pair.cond, at::where(over_uncond, pair.cond, first)};
}

Tensor weighted_distance(SkimDistance distance, const Tensor& difference) {
  const Tensor lowest = difference.min();
  const Tensor share = (difference - lowest) / (difference.max() - lowest);
  if (distance == SkimDistance::kSquared) return share.square();
  return distance == SkimDistance::kRoot ? share.sqrt() : share;
}

CondUncond skim_difference(const Skimming& call, const CondUncond& pair,
                           const SkimOptions& options) {
  const auto spread = [&](double scale) { return pair.cond * scale - pair.uncond * (scale - 1); };
  const auto [cond, uncond] = pair;
  if (options.distance == SkimDistance::kAbsoluteSum) {
    const Tensor target =
        spread(options.scale).abs().sum() / spread(call.scale).abs().sum() * call.scale;
    const Tensor weight = (target - 1) / (call.scale - 1);
    return {cond, at::lerp(cond, uncond, weight)};
  }
  // The plus sign is the extension's: it measures how far the sum of both estimates is from zero.
  const auto reach = [&](double scale) { return cond * scale + uncond * (scale - 1); };
  const Tensor share =
      weighted_distance(options.distance, (reach(options.scale) - reach(call.scale)).abs());
  const double weight = (options.scale - 1) / (call.scale - 1);
  return {cond, at::lerp(at::lerp(cond, uncond, weight), uncond, share)};
}

struct SkimStage : GuidanceStage {
  SkimStage(const SkimOptions& options, double flip_sigma)
      : options(options), flip_sigma(flip_sigma) {}

  void before(const GuidanceCall& call, CondUncond& pair) override {
    const bool has_filter = options.mode == SkimMode::kTimedFlip
                                ? (call.level > flip_sigma) == options.flip_reverse
                                : !options.without_filter;
    if (options.mode != SkimMode::kDifference) {
      pair = skimmed(call.x, pair, call.cfg_scale, options, has_filter);
      return;
    }
    pair.uncond = image_by_image(call.x, pair, [&](const Tensor& x, const CondUncond& own) {
      return skimmed(x, own, call.cfg_scale, options, has_filter).uncond;
    });
  }

  SkimOptions options;
  double flip_sigma;
};

}  // namespace

std::span<const Word<SkimMode>> words_of(SkimMode) { return kSkimModes; }

std::span<const Word<SkimDistance>> words_of(SkimDistance) { return kSkimDistances; }

MethodFacts SkimOptions::facts() { return {.name = "skimmed_cfg", .need = StageNeed::kCfg}; }

std::unique_ptr<GuidanceStage> SkimOptions::make_stage(const GuidanceRun& run) const {
  return std::make_unique<SkimStage>(*this, sigma_from_percent(run.schedule, flip_at));
}

Tensor skimming_mask(const Tensor& x, const CondUncond& a_and_b, double scale,
                     bool has_flip_filter) {
  const auto& [a, b] = a_and_b;
  const Tensor reached = b + (a - b) * scale, side = a.sign();
  const Tensor mask = ((a - b).sign() == side) & (side == reached.sign());
  return has_flip_filter ? mask & (reached.sign() == (reached - x).sign()) : mask;
}

CondUncond skimmed(const Tensor& x, const CondUncond& pair, double scale,
                   const SkimOptions& options, bool has_filter) {
  const Skimming call{x, scale, has_filter};
  switch (options.mode) {
    case SkimMode::kOff:
      return pair;
    case SkimMode::kSingle:
      return skim_single(call, pair, options.scale, options.full_negative ? 0 : options.scale);
    case SkimMode::kReplace:
      return skim_replace(call, pair);
    case SkimMode::kLinear:
      return skim_linear(call, pair, options.scale);
    case SkimMode::kDual:
      return skim_dual(call, pair, options);
    case SkimMode::kDifference:
      return skim_difference(call, pair, options);
    case SkimMode::kTimedFlip:
      return skim_single(call, pair, scale, 0);
  }
  return pair;
}

}  // namespace fourstep
