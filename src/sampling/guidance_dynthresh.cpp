#include "sampling/guidance_dynthresh.h"

#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include "sampling/find_row.h"

namespace fourstep {

namespace {

// The extension's roundings of pi/2 and 2 pi: its numbers are ours to the last digit.
constexpr double kQuarterTurn = 1.5707, kTurn = 6.28318;

double part_of_repetition(double progress, double repetitions) {
  return std::fmod(progress * repetitions, 1.0);
}

struct CurveRow {
  std::string_view name;
  double (*share)(double progress, double value);  ///< 0: the minimum, 1: the scale
};

constexpr std::array kCurves{
    CurveRow{"Constant", [](double, double) { return 1.0; }},
    CurveRow{"Linear Down", [](double p, double) { return 1 - p; }},
    CurveRow{"Cosine Down", [](double p, double) { return std::cos(p * kQuarterTurn); }},
    CurveRow{"Half Cosine Down", [](double p, double) { return std::cos(p); }},
    CurveRow{"Linear Up", [](double p, double) { return p; }},
    CurveRow{"Cosine Up", [](double p, double) { return 1 - std::cos(p * kQuarterTurn); }},
    CurveRow{"Half Cosine Up", [](double p, double) { return 1 - std::cos(p); }},
    CurveRow{"Power Up", [](double p, double v) { return std::pow(p, v); }},
    CurveRow{"Power Down", [](double p, double v) { return 1 - std::pow(p, v); }},
    CurveRow{"Linear Repeating",
             [](double p, double v) { return std::abs(1 - 2 * part_of_repetition(p, v)); }},
    CurveRow{"Cosine Repeating",
             [](double p, double v) { return 0.5 + 0.5 * std::cos(p * kTurn * v); }},
    CurveRow{"Sawtooth", [](double p, double v) { return part_of_repetition(p, v); }}};

/// How far values reach: [B,C,1], or one number where all share it. values: [B,C,n].
Tensor reach(const Tensor& values, const DynthreshOptions& options, double percentile) {
  if (options.is_by_std) {
    return options.is_per_channel ? values.std(at::IntArrayRef{2}, true, true) : values.std();
  }
  if (options.is_per_channel) return at::quantile(values.abs(), percentile, 2, /*keepdim=*/true);
  return at::quantile(values.abs().flatten(), percentile);
}

/// `values` around their mean scaled (spread) or cut (largest values) to the range of `mimic`.
Tensor threshold(const Tensor& values, const Tensor& mimic, const DynthreshOptions& options) {
  const Tensor mean = values.mean(2, true), centred = values - mean;
  const Tensor target = reach(mimic - mimic.mean(2, true), options, 1);
  const Tensor own = reach(centred, options, options.percentile);
  if (!options.is_from_mean) return values * (target / own);
  if (options.is_by_std) return centred * (target / own) + mean;
  const Tensor limit = at::maximum(target, own);
  return at::minimum(at::maximum(centred, -limit), limit) * (target / limit) + mean;
}

}  // namespace

Tensor combine_dynthresh(const CondUncond& pair, double scale, const DynthreshOptions& options) {
  const Tensor plain = combine_cfg(pair, scale);
  const Tensor mimic = combine_cfg(pair, options.mimic_scale).flatten(2);
  const Tensor result = threshold(plain.flatten(2), mimic, options).view_as(plain);
  return options.phi == 1 ? result : at::lerp(plain, result, options.phi);
}

double scale_at(const ScaleCurve& curve, double scale, double progress) {
  const CurveRow& row = find_row(std::span<const CurveRow>(kCurves), "dynthresh curve", curve.mode);
  const double share = row.share(progress, curve.value);
  return share == 1 ? scale : curve.minimum + (scale - curve.minimum) * share;
}

}  // namespace fourstep
