#pragma once
// Gaussian blur of feature maps: self-attention guidance blurs latents, smoothed energy guidance blurs queries.

#include "base/tensor.h"

namespace fourstep {

/// Convolution with a Gaussian of standard deviation `sigma` (> 0) cells, cut off at kernel x kernel cells (odd) and
/// normalised; borders are reflected. x: [B,C,h,w], any floating dtype. A kernel too wide for the smaller side becomes
/// the widest that fits. Returns as x.
Tensor gaussian_blur(const Tensor& x, int64_t kernel, double sigma);

}  // namespace fourstep
