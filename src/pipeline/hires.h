#pragma once
// The passes of a request: the first from noise, and one at a larger size from its upscaled latent.

#include <vector>

#include "pipeline/sampling_plan.h"

namespace fourstep {

struct PassPlan {
  ResolvedRequest request;  ///< with the pass's size
  SamplingPlan plan;
};

/// All passes of a request, in order. Throws InvalidRequest for settings that cannot work.
std::vector<PassPlan> plan_passes(const ResolvedRequest& request);

/// How many steps a schedule must have for its last `steps` to begin at about the share `denoise` of the way, by the
/// rules of a dialect. Source: ComfyUI's KSampler; A1111's hires fix (explicit steps).
int64_t schedule_steps(int64_t steps, double denoise, Dialect dialect);

/// latent: [B,4,h,w] of any size. Returns [B,4,height,width], fp32. Source: ComfyUI's LatentUpscale and A1111's latent
/// upscalers, which are torch's interpolations.
Tensor upscale_latent(const Tensor& latent, int64_t height, int64_t width, LatentUpscale upscale);

}  // namespace fourstep
