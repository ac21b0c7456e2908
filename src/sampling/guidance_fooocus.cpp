#include "sampling/guidance_fooocus.h"

#include <cmath>

#include "sampling/per_sample.h"

namespace fourstep {

Tensor joint_bilateral_filter(const Tensor& values, const Tensor& guide) {
  constexpr int64_t kRadius = 6;
  constexpr double kVariance = 3.0 * 3.0;
  const int64_t height = values.size(2), width = values.size(3);
  const auto pad = [](const Tensor& t) {
    return at::reflection_pad2d(t, {kRadius, kRadius, kRadius, kRadius});
  };
  const Tensor padded = pad(values), padded_guide = pad(guide);
  Tensor sum = at::zeros_like(values), weights = at::zeros_like(values.narrow(1, 0, 1));
  for (int64_t dy = 0; dy <= 2 * kRadius; ++dy) {
    for (int64_t dx = 0; dx <= 2 * kRadius; ++dx) {
      const auto window = [&](const Tensor& t) {
        return t.narrow(2, dy, height).narrow(3, dx, width);
      };
      const double distance = std::hypot(dy - kRadius, dx - kRadius);
      const Tensor colour = (window(padded_guide) - guide).abs().sum(1, true);
      const Tensor weight = ((colour.square() + distance * distance) * (-0.5 / kVariance)).exp();
      sum.addcmul_(weight, window(padded));
      weights.add_(weight);
    }
  }
  return sum / weights;
}

Tensor sharpened_cond(const Tensor& x, const Tensor& cond, double sharpness, double progress) {
  const Tensor guide = (cond - cond.mean({1, 2, 3}, true)) / (std_per_sample(cond) + 1e-5);
  const Tensor eps = x - cond;
  return x - at::lerp(eps, joint_bilateral_filter(eps, guide), 0.001 * sharpness * progress);
}

Tensor combine_adaptive(const CondUncond& pair, double scale, double limit, double progress) {
  const Tensor full = combine_cfg(pair, scale);
  return scale <= limit ? full : at::lerp(combine_cfg(pair, limit), full, progress);
}

}  // namespace fourstep
