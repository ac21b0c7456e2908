#pragma once
// What rounding leaves of a small change of weights.

#include <vector>

#include "lora/lora_match.h"
#include "workbench/storage.h"
#include "workbench/strength.h"

namespace fourstep {

struct RoundingLoss {
  double arrived = 1;    ///< <moved, change> / <change, change>: the strength that remains of 1
  double error = 0;      ///< norm of (moved - change) over that of change
  double unchanged = 0;  ///< share of weights that did not move
};

/// weights: fp32 [rows, ...], first rounded to `storage` themselves; change: of the same shape. moved is
/// what a merge into the stored weights, stored again, adds to them.
RoundingLoss rounding_loss(const Tensor& weights, const Tensor& change, Storage storage);

/// Some rows of a weight and of a module's change at strength 1, fp32, for estimates.
struct SampledRows {
  Tensor weight, change;
  double share = 1;  ///< how much this module counts among all
  /// What a stored 1 is worth in a file of scaled fp8, of the shape of the weight; undefined for plain weights.
  Tensor unit{};
};

/// At most `count` rows from the middle of the weight. Throws Error when the module does not fit it.
SampledRows sample_rows(const Tensor& weight, const LoraModule& module, int64_t count);

/// rounding_loss() of changes `strength` times as large, averaged over `samples` by their shares.
RoundingLoss mean_rounding_loss(const std::vector<SampledRows>& samples, double strength,
                                Storage storage);

/// Strengths between which the truth lies.
struct StrengthRange {
  double low = 0, high = 0;
};

/// Of merges into weights that were in `storage` already. One end of the error bar of `observed` is the strength
/// itself (other changes carried the LoRA over the steps of the grid); the other is the strength whose merge shows as
/// that end when nothing but the LoRA moved the weights, found by merging into `samples` again (in their units) and
/// pooling as for the estimate (share: the module's information). At most 2 farther from 0.
StrengthRange range_before_rounding(const std::vector<SampledRows>& samples,
                                    const StrengthEstimate& observed, Storage storage);

/// Of merges into finer weights, which lie anywhere between the values of the grid. Rounding shows a small change of
/// them in the mean as the sum of (step * density) over the middles between grid values: the midpoint rule for the
/// integral of the density p, short of it by the mean of step^2 / 24 * p''. With steps in proportion to the weight that
/// is the mean of (step / weight)^2 / 12 (twice by parts), and with mantissas that are even in the logarithm
/// epsilon^2 / (32 ln 2): 0.07% in fp8. Weights below the type's normal numbers lose nothing.
StrengthRange range_before_mean_loss(const StrengthEstimate& observed, Storage storage);

}  // namespace fourstep
