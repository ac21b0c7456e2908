#pragma once
// Dynamic thresholding: guidance at a high scale whose values are brought to the range of a lower, mimicked scale.
// Source: the sd-dynamic-thresholding extension; the idea from Saharia et al. 2022 (2205.11487), section 2.3.

#include <string>

#include "base/tensor.h"
#include "sampling/guidance.h"

namespace fourstep {

struct DynthreshOptions {
  double mimic_scale = 7;
  double percentile = 1;       ///< of the absolute values that count as the range; 0..1
  bool is_per_channel = true;  ///< ranges per channel, else one for the whole tensor
  bool is_from_mean = true;    ///< scaled around the channel's mean, else around zero
  bool is_by_std = false;      ///< ranges are standard deviations, else largest absolute values
  double phi = 1;              ///< share of the result; the rest is plain CFG
};

/// In place of combine_cfg(). [B,4,h,w].
Tensor combine_dynthresh(const CondUncond& pair, double scale, const DynthreshOptions& options);

/// How a scale changes over the steps, between `minimum` and the scale itself.
struct ScaleCurve {
  std::string mode = "Constant";  ///< "Linear Down", "Cosine Up", ...: the names of the extension
  double minimum = 0;
  double value = 4;  ///< power, or number of repetitions
};

/// scale at `progress` 0 (first step) .. 1. Throws InvalidRequest for an unknown mode.
double scale_at(const ScaleCurve& curve, double scale, double progress);

}  // namespace fourstep
