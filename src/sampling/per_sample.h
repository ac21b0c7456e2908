#pragma once
// Sums and spreads over channels and space, one number per sample: [B,C,h,w] -> [B,1,1,1].

#include "base/tensor.h"

namespace fourstep {

inline Tensor sum_per_sample(const Tensor& x) { return x.sum(at::IntArrayRef{1, 2, 3}, true); }

/// Standard deviation with divisor n - 1.
inline Tensor std_per_sample(const Tensor& x) {
  return x.std(at::IntArrayRef{1, 2, 3}, /*unbiased=*/true, /*keepdim=*/true);
}

inline Tensor norm_per_sample(const Tensor& x) { return sum_per_sample(x * x).sqrt(); }

}  // namespace fourstep
