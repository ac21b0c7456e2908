#pragma once
// Factors on the spatial frequencies of feature maps: FreeU weakens low ones of skips, FreSca those of guidance.

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

}  // namespace fourstep
