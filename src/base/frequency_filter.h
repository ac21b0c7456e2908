#pragma once
// Factors on the spatial frequencies of feature maps: FreeU weakens low ones of skips, FreSca those
// of guidance.

#include "base/tensor.h"

namespace fourstep {

struct FrequencyFactors {
  double low = 1;      ///< on the square of bins around frequency 0
  double high = 1;     ///< on all others
  int64_t cutoff = 1;  ///< the square is 2 * cutoff bins wide, from -cutoff to cutoff - 1
};

/// x: [B,C,h,w], fp32 or fp64. Returns as x.
/// Source: Si et al. 2023 (2309.11497), section 3.2, with the square of the authors' code.
Tensor scale_frequencies(const Tensor& x, const FrequencyFactors& factors);

// Gaussian blur of feature maps: self-attention guidance blurs latents, smoothed energy guidance
// blurs queries.

/// Convolution with a Gaussian of standard deviation `sigma` (> 0) cells, cut off at kernel x
/// kernel cells (odd) and normalised; borders are reflected. x: [B,C,h,w], any floating dtype. A
/// kernel too wide for the smaller side becomes the widest that fits. Returns as x.
Tensor gaussian_blur(const Tensor& x, int64_t kernel, double sigma);

}  // namespace fourstep
