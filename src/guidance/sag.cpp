#include "guidance/sag.h"

#include <ATen/ops/upsample_nearest2d.h>

#include <algorithm>

#include "base/frequency_filter.h"
#include "guidance/degraded_guidance.h"

namespace fourstep {

namespace {

struct SagStage : GuidanceStage {
  explicit SagStage(const SagOptions& options) : options(options) {}

  void extend(const GuidanceCall&, const CallRows& rows, UNetExtras& extras) override {
    if (rows.is_pairs_uncond) extras.middle_attention = &map;
  }

  Tensor after(const GuidanceCall& call, const CondUncond& pair, const Tensor& denoised) override {
    constexpr int64_t kSmallestSide = 4;
    if (std::min(call.x.size(2), call.x.size(3)) <= kSmallestSide) return denoised;
    const Tensor of_uncond = map.probabilities.narrow(0, 0, call.x.size(0));  // its rows come first
    const Tensor mask =
        attended_positions(of_uncond, options.threshold).view({-1, map.height, map.width});
    const Tensor blurred = blur_attended(pair.uncond, mask, options.sigma);
    const Tensor degraded = call.network.uncond_at(call, call.x + (blurred - pair.uncond));
    return guide_from_degraded(denoised, blurred, degraded, options.scale);
  }

  SagOptions options;
  AttentionMap map = {};  ///< of the latest pair
};

}  // namespace

std::unique_ptr<GuidanceStage> SagOptions::make_stage(const GuidanceRun&) const {
  return std::make_unique<SagStage>(*this);
}

Tensor attended_positions(const Tensor& attention, double threshold) {
  return attention.mean(1).sum(1) > threshold;
}

Tensor blur_attended(const Tensor& denoised, const Tensor& mask, double sigma) {
  constexpr int64_t kKernel = 9;
  const Tensor wide = at::upsample_nearest2d(mask.unsqueeze(1).to(denoised.scalar_type()),
                                             {denoised.size(2), denoised.size(3)});
  return at::lerp(denoised, gaussian_blur(denoised, kKernel, sigma), wide);
}

}  // namespace fourstep
