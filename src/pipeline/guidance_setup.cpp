#include "pipeline/guidance_setup.h"

namespace fourstep {

GuidanceSetup guidance_setup(const ResolvedRequest& request, const SamplingPlan& plan) {
  GuidanceSetup setup;
  setup.options = request.guidance;
  setup.cfg_scale = request.sampling.cfg_scale;
  setup.sigmas = plan.sigmas;
  setup.schedule = plan.schedule;
  setup.timestep_of = plan.timestep_of;
  setup.output = request.output;
  // ComfyUI's RescaleCFG measures spreads of v, diffusers those of what the network returns.
  const bool is_own = request.sampling.dialect == Dialect::kDiffusers;
  setup.rescaled_output = is_own ? setup.output : NetworkOutput::kV;
  setup.sampler_needs_uncond = plan.sampler.needs.uncond;
  setup.width = request.width;
  setup.height = request.height;
  return setup;
}

PassEstimates estimates_of(GuidedUNet& guided, const SamplingPlan& plan) {
  PassEstimates estimates;
  estimates.denoise = [&guided](const Tensor& x, const Tensor& sigma) {
    return guided.estimate(x, sigma);
  };
  if (plan.sampler.needs.uncond) estimates.uncond = [&guided] { return guided.last_uncond(); };
  return estimates;
}

}  // namespace fourstep
