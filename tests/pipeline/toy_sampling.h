#pragma once
// Sampling a request with a toy for a network, as the scripts tests/oracle/schedulers.py do with diffusers.

#include "base/image_noise.h"
#include "pipeline/sampling_plan.h"
#include "sampling/parameterization.h"

namespace fourstep::testing {

/// What stands for the network: a function of its scaled input and of the timestep that it is told, of which a change of
/// 0.01 shows. As eps near enough to a denoiser's that all samplers stay within a few units.
inline Tensor toy_output(const Tensor& scaled, const Tensor& timestep) {
  const Tensor t = timestep.to(scaled.options()).view({-1, 1, 1, 1}) / 1000;
  return scaled * (0.25 + 0.7 * t) + 0.3 * (2 * scaled + 8 * t).sin();
}

/// The final latent, [1,4,8,8] fp32. request: resolved; prediction: epsilon or v_prediction.
inline Tensor sample_toy(const Request& request) {
  const SamplingPlan plan = plan_sampling(request, noise_schedule_of(request, false));
  const ImageSeed seed = image_seed(request);
  const NoiseSource noise = make_image_noise(seed);
  const Tensor first = noise({1, 4, 8, 8});
  const bool is_v = request.prediction == "v_prediction";
  const Denoiser denoise =
      make_denoiser(toy_output, plan.timestep_of, is_v ? NetworkOutput::kV : NetworkOutput::kEps);
  const SamplerRun run{
      denoise, plan.sigmas,     plan.schedule, plan.settings, step_noise(plan, seed, noise),
      {},      plan.timestep_of};
  const Tensor x = initial_state(at::zeros_like(first), first, plan.sigmas[0], plan.noise_scale);
  return sample(plan.sampler, run, x) * plan.output_scale;
}

}  // namespace fourstep::testing
