#include "sampling/guidance_direction.h"

#include <ATen/ops/linalg_svd.h>

#include "sampling/per_sample.h"

namespace fourstep {

namespace {

/// The part of `a` that is parallel to `b`, sample by sample.
Tensor parallel_part(const Tensor& a, const Tensor& b) {
  const Tensor direction = b / norm_per_sample(b).clamp_min(1e-12);
  return sum_per_sample(a * direction) * direction;
}

}  // namespace

Tensor apg_cond(const CondUncond& pair, double scale, const ApgOptions& options, Tensor& running) {
  const Tensor difference = pair.cond - pair.uncond;
  Tensor guidance = difference;
  if (options.momentum != 0) {
    if (running.defined()) guidance = guidance + running * options.momentum;
    running = guidance;
  }
  if (options.threshold > 0) {
    guidance = guidance * (options.threshold / norm_per_sample(guidance)).clamp_max(1);
  }
  const Tensor parallel = parallel_part(guidance, pair.cond);
  return pair.uncond + guidance + parallel * (options.eta - 1) + difference / scale;
}

Tensor tcfg_uncond(const Tensor& x, const CondUncond& pair) {
  const Tensor cond = (x - pair.cond).flatten(1), uncond = (x - pair.uncond).flatten(1);
  const Tensor rows = std::get<2>(at::linalg_svd(at::stack({cond, uncond}, 1), false));
  const Tensor main = rows.select(1, 0);  // [B,n]
  return x - ((uncond * main).sum(1, true) * main).view_as(x);
}

Tensor combine_perp_neg(const CondUncond& pair, const Tensor& empty, double scale,
                        double negative_scale) {
  const Tensor positive = pair.cond - empty, negative = pair.uncond - empty;
  const Tensor common = (negative * positive).sum() / positive.square().sum();
  return empty + scale * (positive - (negative - common * positive) * negative_scale);
}

Tensor fresca_cond(const CondUncond& pair, const FrequencyFactors& factors) {
  return pair.uncond + scale_frequencies(pair.cond - pair.uncond, factors);
}

}  // namespace fourstep
