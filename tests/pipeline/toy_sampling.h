#pragma once
// Sampling a request with a toy for a network, as the scripts tests/oracle/schedulers.py do with diffusers.

#include "pipeline/sample_pass.h"
#include "sampling/parameterization.h"

namespace fourstep::testing {

/// What stands for the network: a function of its scaled input and of the timestep that it is told, of which a change of
/// 0.01 shows. As eps near enough to a denoiser's that all samplers stay within a few units.
inline Tensor toy_output(const Tensor& scaled, const Tensor& timestep) {
  const Tensor t = timestep.to(scaled.options()).view({-1, 1, 1, 1}) / 1000;
  return scaled * (0.25 + 0.7 * t) + 0.3 * (2 * scaled + 8 * t).sin();
}

/// The final latent, [1,4,8,8] fp32. asked: with sampler, schedule, steps, seed and noise.
inline Tensor sample_toy(const Request& asked) {
  const ResolvedRequest request = resolve(asked, {});
  const SamplingPlan plan = plan_sampling(request);
  const Denoiser denoise = make_denoiser(toy_output, plan.timestep_of, request.output);
  const ImageSeed seeds[] = {request.seed};
  return sample_pass(plan, {denoise, {}}, {.seeds = seeds, .width = 64, .height = 64});
}

}  // namespace fourstep::testing
