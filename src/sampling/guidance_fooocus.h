#pragma once
// What Fooocus does beside classifier-free guidance: sharpness and adaptive CFG. Source: its behaviour.

#include "base/tensor.h"
#include "sampling/guidance.h"

namespace fourstep {

/// `values` smoothed by a 13x13 bilateral filter whose weights come from `guide`: spatial and colour sigma 3, colour
/// distance the L1 sum over channels, reflected borders. [B,C,h,w], sides of at least 7.
Tensor joint_bilateral_filter(const Tensor& values, const Tensor& guide);

/// cond with smoothed noise estimates, which sharpens the picture; sharpness 2 is Fooocus's default.
/// progress: 0 at the first training step's noise, 1 at none.
Tensor sharpened_cond(const Tensor& x, const Tensor& cond, double sharpness, double progress);

/// CFG at `scale`, but above `limit` (7) that only by `progress`, and at `limit` for the rest.
Tensor combine_adaptive(const CondUncond& pair, double scale, double limit, double progress);

}  // namespace fourstep
