#pragma once
// Dynamic thresholding: guidance at a high scale whose values are brought to the range of a lower,
// mimicked scale.
// Source: the sd-dynamic-thresholding extension; the idea from Saharia et al. 2022 (2205.11487),
// section 2.3.

#include <span>

#include "guidance/method.h"

namespace fourstep {

/// How a scale changes over the steps.
enum class ScaleCurve {
  kConstant,
  kLinearDown,
  kCosineDown,
  kHalfCosineDown,
  kLinearUp,
  kCosineUp,
  kHalfCosineUp,
  kPowerUp,
  kPowerDown,
  kLinearRepeating,
  kCosineRepeating,
  kSawtooth
};
std::span<const Word<ScaleCurve>> words_of(ScaleCurve);

/// Between `minimum` and the scale itself.
struct ScaleOverSteps {
  ScaleCurve curve = ScaleCurve::kConstant;
  double minimum = 0;
  double value = 4;  ///< power, or number of repetitions
};

/// scale at `progress` 0 (first step) .. 1.
double scale_at(const ScaleOverSteps& over, double scale, double progress);

struct DynthreshOptions {
  double mimic = 0;        ///< scale whose range is mimicked; 0: off
  double percentile = 1;   ///< of the absolute values that count as the range; 0..1
  double phi = 1;          ///< share of the result; the rest is plain CFG
  bool global = false;     ///< one range for all channels, else one per channel
  bool from_zero = false;  ///< scaled around zero, else around the channel's mean
  bool by_std = false;     ///< ranges are standard deviations, else largest absolute values
  ScaleCurve mimic_curve = ScaleCurve::kConstant;
  double mimic_min = 0;
  ScaleCurve cfg_curve = ScaleCurve::kConstant;
  double cfg_min = 0;
  double curve_value = 4;

  bool operator==(const DynthreshOptions&) const = default;
  bool is_on() const { return mimic != 0 && phi != 0; }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<DynthreshOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"dynthresh_mimic", "dynamic thresholding to the range of this CFG scale; 0: off", "",
             0, 100},
        o.mimic);
  visit(Info{"dynthresh_percentile", "share of the values that counts as range", "", 0, 1},
        o.percentile);
  visit(Info{"dynthresh_phi", "share of its result", "", 0, 1}, o.phi);
  visit(Info{"dynthresh_global", "one range for all channels"}, o.global);
  visit(Info{"dynthresh_from_zero", "scale around zero, not around the mean"}, o.from_zero);
  visit(Info{"dynthresh_std", "ranges are standard deviations"}, o.by_std);
  visit(Info{"dynthresh_mimic_curve",
             "mimicked scale over the steps: Constant, Linear Down, Cosine Up, Power Up, ..."},
        o.mimic_curve);
  visit(Info{"dynthresh_mimic_min", "its lower end", "", 0, 100}, o.mimic_min);
  visit(Info{"dynthresh_cfg_curve", "the same for the CFG scale"}, o.cfg_curve);
  visit(Info{"dynthresh_cfg_min", "its lower end", "", 0, 100}, o.cfg_min);
  visit(Info{"dynthresh_curve_value", "power or repetitions of both curves", "", 0, 100},
        o.curve_value);
}

/// In place of combine_cfg(). mimic: the mimicked scale now. With `global`, ranges are of all that
/// the tensors hold. [B,4,h,w].
Tensor combine_dynthresh(const CondUncond& pair, double scale, double mimic,
                         const DynthreshOptions& options);

}  // namespace fourstep
