#pragma once
// Guidance methods that change the direction of guidance: parts of cond - uncond are weakened, kept or removed.

#include "base/frequency_filter.h"
#include "base/tensor.h"
#include "sampling/guidance.h"

namespace fourstep {

/// Adaptive projected guidance. Source: Sadat et al. 2024 (2410.02416), algorithm 1.
struct ApgOptions {
  double eta = 1;        ///< weight of what is parallel to cond; 1: all, 0: none
  double threshold = 0;  ///< longest guidance (norm over C, h, w); 0: any length
  double momentum = 0;   ///< weight of earlier steps' guidance; negative: reversed
};

/// The cond for which plain CFG at `scale` gives APG's result. running: the guidance summed over earlier steps with
/// momentum (undefined before the first), updated; unused without momentum. Source: ComfyUI's APG.
Tensor apg_cond(const CondUncond& pair, double scale, const ApgOptions& options, Tensor& running);

/// The uncond whose noise keeps only its part along the main common direction of both noises.
/// Source: Kwon et al. 2025 (2503.18137), section 4; ComfyUI's TCFG.
Tensor tcfg_uncond(const Tensor& x, const CondUncond& pair);

/// Guidance from `empty` (the estimate for the empty prompt) towards cond, without what the negative prompt has in
/// common with it. pair.uncond: the negative prompt's. The common part is measured over the whole batch.
/// Source: Armandpour et al. 2023 (2304.04968), eq. 6; ComfyUI's PerpNeg.
Tensor combine_perp_neg(const CondUncond& pair, const Tensor& empty, double scale,
                        double negative_scale);

/// The cond whose guidance has its low and high frequencies scaled.
/// Source: Huang et al. 2025 (2504.02154), eq. 5; ComfyUI's FreSca.
Tensor fresca_cond(const CondUncond& pair, const FrequencyFactors& factors);

}  // namespace fourstep
