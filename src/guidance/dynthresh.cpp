#include "guidance/dynthresh.h"

#include <array>
#include <cmath>

namespace fourstep {

namespace {

// The extension's roundings of pi/2 and 2 pi: its numbers are ours to the last digit.
constexpr double kQuarterTurn = 1.5707, kTurn = 6.28318;

using Curve = Word<ScaleCurve>;
constexpr std::array kCurves{Curve{"Constant", ScaleCurve::kConstant},
                             Curve{"Linear Down", ScaleCurve::kLinearDown},
                             Curve{"Cosine Down", ScaleCurve::kCosineDown},
                             Curve{"Half Cosine Down", ScaleCurve::kHalfCosineDown},
                             Curve{"Linear Up", ScaleCurve::kLinearUp},
                             Curve{"Cosine Up", ScaleCurve::kCosineUp},
                             Curve{"Half Cosine Up", ScaleCurve::kHalfCosineUp},
                             Curve{"Power Up", ScaleCurve::kPowerUp},
                             Curve{"Power Down", ScaleCurve::kPowerDown},
                             Curve{"Linear Repeating", ScaleCurve::kLinearRepeating},
                             Curve{"Cosine Repeating", ScaleCurve::kCosineRepeating},
                             Curve{"Sawtooth", ScaleCurve::kSawtooth}};

/// 0: the minimum, 1: the scale. p: progress.
double share_at(ScaleCurve curve, double p, double value) {
  const double part = std::fmod(p * value, 1.0);  // of a repetition
  switch (curve) {
    case ScaleCurve::kConstant:
      return 1;
    case ScaleCurve::kLinearDown:
      return 1 - p;
    case ScaleCurve::kCosineDown:
      return std::cos(p * kQuarterTurn);
    case ScaleCurve::kHalfCosineDown:
      return std::cos(p);
    case ScaleCurve::kLinearUp:
      return p;
    case ScaleCurve::kCosineUp:
      return 1 - std::cos(p * kQuarterTurn);
    case ScaleCurve::kHalfCosineUp:
      return 1 - std::cos(p);
    case ScaleCurve::kPowerUp:
      return std::pow(p, value);
    case ScaleCurve::kPowerDown:
      return 1 - std::pow(p, value);
    case ScaleCurve::kLinearRepeating:
      return std::abs(1 - 2 * part);
    case ScaleCurve::kCosineRepeating:
      return 0.5 + 0.5 * std::cos(p * kTurn * value);
    case ScaleCurve::kSawtooth:
      return part;
  }
  return 1;
}

/// How far values reach: [B,C,1], or one number where all share it. values: [B,C,n].
Tensor reach(const Tensor& values, const DynthreshOptions& options, double percentile) {
  if (options.by_std) {
    return options.global ? values.std() : values.std(at::IntArrayRef{2}, true, true);
  }
  if (!options.global) return at::quantile(values.abs(), percentile, 2, /*keepdim=*/true);
  return at::quantile(values.abs().flatten(), percentile);
}

/// `values` around their mean scaled (spread) or cut (largest values) to the range of `mimic`.
Tensor threshold(const Tensor& values, const Tensor& mimic, const DynthreshOptions& options) {
  const Tensor mean = values.mean(2, true), centred = values - mean;
  const Tensor target = reach(mimic - mimic.mean(2, true), options, 1);
  const Tensor own = reach(centred, options, options.percentile);
  if (options.from_zero) return values * (target / own);
  if (options.by_std) return centred * (target / own) + mean;
  const Tensor limit = at::maximum(target, own);
  return at::minimum(at::maximum(centred, -limit), limit) * (target / limit) + mean;
}

struct DynthreshStage : GuidanceStage {
  DynthreshStage(const DynthreshOptions& options, const GuidanceRun& run)
      : options(options), run(run) {}

  Tensor combine(const GuidanceCall& call, const CondUncond& pair) override {
    constexpr double kLastStep = 998;  // the extension counts 999 steps from 0
    const double progress = run.progress(call, kLastStep);
    const ScaleOverSteps mimic_over{options.mimic_curve, options.mimic_min, options.curve_value};
    const ScaleOverSteps cfg_over{options.cfg_curve, options.cfg_min, options.curve_value};
    const double mimic = scale_at(mimic_over, options.mimic, progress);
    const double scale = scale_at(cfg_over, call.cfg_scale, progress);
    if (!options.global) return combine_dynthresh(pair, scale, mimic, options);
    return image_by_image(call.x, pair, [&](const Tensor&, const CondUncond& own) {
      return combine_dynthresh(own, scale, mimic, options);
    });
  }

  DynthreshOptions options;
  GuidanceRun run;
};

}  // namespace

std::span<const Word<ScaleCurve>> words_of(ScaleCurve) { return kCurves; }

double scale_at(const ScaleOverSteps& over, double scale, double progress) {
  const double share = share_at(over.curve, progress, over.value);
  return share == 1 ? scale : over.minimum + (scale - over.minimum) * share;
}

MethodFacts DynthreshOptions::facts() {
  return {.name = "dynthresh", .need = StageNeed::kCfg, .replaces_combination = true};
}

std::unique_ptr<GuidanceStage> DynthreshOptions::make_stage(const GuidanceRun& run) const {
  return std::make_unique<DynthreshStage>(*this, run);
}

Tensor combine_dynthresh(const CondUncond& pair, double scale, double mimic,
                         const DynthreshOptions& options) {
  const Tensor plain = combine_cfg(pair, scale);
  const Tensor mimicked = combine_cfg(pair, mimic).flatten(2);
  const Tensor result = threshold(plain.flatten(2), mimicked, options).view_as(plain);
  return options.phi == 1 ? result : at::lerp(plain, result, options.phi);
}

}  // namespace fourstep
