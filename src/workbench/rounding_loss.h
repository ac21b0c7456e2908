#pragma once
// What rounding leaves of a small change of weights.

#include <vector>

#include "lora/lora_match.h"
#include "workbench/storage.h"

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
};

/// At most `count` rows from the middle of the weight. Throws Error when the module does not fit it.
SampledRows sample_rows(const Tensor& weight, const LoraModule& module, int64_t count);

/// rounding_loss() of changes `strength` times as large, averaged over `samples` by their shares.
RoundingLoss mean_rounding_loss(const std::vector<SampledRows>& samples, double strength,
                                Storage storage);

/// The strength whose merge into weights stored in `storage` shows as `observed`, when nothing but the LoRA
/// moved them: what was lost to rounding is added. At most 2 more than observed.
double strength_before_rounding(const std::vector<SampledRows>& samples, double observed,
                                Storage storage);

}  // namespace fourstep
