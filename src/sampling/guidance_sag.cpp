#include "sampling/guidance_sag.h"

#include <ATen/ops/upsample_nearest2d.h>

#include "base/frequency_filter.h"

namespace fourstep {

Tensor attended_positions(const Tensor& attention, double threshold) {
  return attention.mean(1).sum(1) > threshold;
}

Tensor blur_attended(const Tensor& denoised, const Tensor& mask, double sigma) {
  constexpr int64_t kKernel = 9;
  const Tensor wide = at::upsample_nearest2d(mask.unsqueeze(1).to(denoised.scalar_type()),
                                             {denoised.size(2), denoised.size(3)});
  return at::lerp(denoised, gaussian_blur(denoised, kKernel, sigma), wide);
}

Tensor guide_from_degraded(const Tensor& denoised, const Tensor& better, const Tensor& degraded,
                           double scale) {
  return denoised + (better - degraded) * scale;
}

}  // namespace fourstep
