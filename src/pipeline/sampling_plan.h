#pragma once
// What a request means to the samplers, by the rules of its dialect: noise levels, settings, noise.

#include <vector>

#include "base/image_noise.h"
#include "pipeline/request.h"
#include "sampling/parameterization.h"
#include "sampling/samplers.h"

namespace fourstep {

struct SamplingPlan {
  SamplerRow sampler;          ///< with the formula and noise of the dialect
  NoiseSchedule schedule;      ///< the model's table
  std::vector<double> sigmas;  ///< at least two
  SamplerSettings settings;
  NoiseScale noise_scale;  ///< of the first noise
  double output_scale =
      1;  ///< factor on the last state; A1111's timestep samplers return unit variance
  TimestepOf timestep_of;  ///< what the network is told
};

/// The noise levels of training, rounded as the request's dialect has them. file_zero_snr: what the model's file says
/// of zero terminal SNR; the request may say otherwise.
NoiseSchedule noise_schedule_of(const Request& request, bool file_zero_snr);

/// request: resolved (resolve_defaults). schedule: the model's.
/// Throws InvalidRequest for settings that cannot work.
SamplingPlan plan_sampling(const Request& request, NoiseSchedule schedule);

/// Whether the name of a schedule decides the noise levels: not with explicit lists, nor for A1111's timestep
/// samplers, which have lists of their own. request: resolved.
bool uses_schedule(const Request& request);

/// The seed of an image with its variations. single: see single_image().
ImageSeed image_seed(const Request& single);

/// The noise between steps: `stream`, the image's, or the Brownian path of its seed over the levels in use.
/// The result must not outlive the plan.
StepNoise step_noise(const SamplingPlan& plan, const ImageSeed& seed, const NoiseSource& stream);

}  // namespace fourstep
