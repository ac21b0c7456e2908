#include "nets/nag.h"

#include <algorithm>

namespace fourstep {

namespace {

constexpr double kLeastNorm = 1e-6;

/// [B,L,C] -> [B,L,1], summed in fp32 at least: a half's sum over 1280 channels would be too coarse.
Tensor norm_over_channels(const Tensor& z) {
  const auto dtype = z.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return z.abs().sum(at::IntArrayRef{-1}, true, dtype).clamp_min(kLeastNorm);
}

Tensor repeated_to(const Tensor& context, int64_t length) {
  const int64_t own = context.size(1);
  if (own == length) return context;
  const int64_t times = (length + own - 1) / own;
  return context.repeat({1, times, 1}).narrow(1, times * own - length, length);
}

}  // namespace

Tensor nag_combine(const Tensor& positive, const Tensor& negative, const NagGuidance& nag) {
  const Tensor pushed = at::lerp(negative, positive, nag.scale);
  const Tensor limit = norm_over_channels(positive) * nag.tau / norm_over_channels(pushed);
  const Tensor factor = (limit.clamp_max(1) * nag.alpha).to(positive.scalar_type());
  return at::addcmul(positive * (1 - nag.alpha), pushed, factor);
}

Tensor cat_nag_context(const Tensor& context, const Tensor& negative) {
  const int64_t length = std::max(context.size(1), negative.size(1));
  return at::cat({repeated_to(context, length), repeated_to(negative, length)});
}

}  // namespace fourstep
