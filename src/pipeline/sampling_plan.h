#pragma once
// What a request means to the samplers, by the rules of its dialect: noise levels, settings, noise.

#include <vector>

#include "base/image_noise.h"
#include "request/resolve.h"
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

/// The noise levels of training, rounded as the dialect has them.
NoiseSchedule noise_schedule_of(Dialect dialect, bool zero_snr);

/// schedule: the model's. Throws InvalidRequest for settings that cannot work.
SamplingPlan plan_sampling(const ResolvedSampling& asked, NoiseSchedule schedule);

/// The plan of a request's first pass, on the noise levels that its model was trained at.
SamplingPlan plan_sampling(const ResolvedRequest& request);

/// Whether the name of a schedule decides the noise levels: not with explicit lists, nor for A1111's timestep
/// samplers, which have lists of their own.
bool uses_schedule(const ResolvedSampling& asked);

/// The noise between steps of a batch, one seed a row: `stream` (make_image_noise(seeds)), or the Brownian path of each
/// seed over the levels in use.
StepNoise step_noise(const SamplingPlan& plan, std::span<const ImageSeed> seeds,
                     const NoiseSource& stream);

}  // namespace fourstep
