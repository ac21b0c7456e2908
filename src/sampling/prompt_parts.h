#pragma once
// Several prompts for one picture ("a AND b"), as estimates of x0 with weights.

#include <vector>

#include "base/tensor.h"
#include "sampling/denoiser.h"
#include "sampling/guidance.h"

namespace fourstep {

struct WeightedDenoiser {
  Denoiser denoise;
  double weight = 1;
};

/// The sum of weight * estimate: all that is needed of parts whose weights have the sum 1, since then
/// u + sum w_i (c_i - u) = sum w_i c_i.
Denoiser sum_of_parts(std::vector<WeightedDenoiser> parts);

/// A pair whose cond is uncond + sum w_i (c_i - uncond), so that guidance of scale s gives u + s sum w_i (c_i - u).
/// first: of the first part, whose weight is `weight`; others: the further parts.
/// Source: A1111's `combine_denoised`; Forge's weighted mean times the sum of weights is the same.
PairDenoiser compose_parts(PairDenoiser first, double weight, std::vector<WeightedDenoiser> others);

}  // namespace fourstep
