#include "train/sample_batch.h"

#include "base/noise.h"
#include "sampling/guidance.h"
#include "sampling/names.h"
#include "sampling/parameterization.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "train/captions.h"

namespace fourstep {

namespace {

Denoiser denoiser_of(UNet unet, const Conditioning& cond, const SampleOptions& options) {
  const UNetExtras extras{.adapters = options.adapters};
  const Network network = [unet, cond, extras](const Tensor& x, const Tensor& timestep) mutable {
    return unet->forward({x, timestep, cond.context, cond.pooled, cond.time_ids, &extras});
  };
  return make_denoiser(network, options.noise_schedule, options.output);
}

Denoiser guided_denoiser(UNet unet, const Conditioning& cond, const SampleOptions& options) {
  const Conditioning& uncond = options.uncond;
  const Conditioning both =
      stack_rows(uncond.context.defined() ? uncond : null_condition(cond), cond);
  return with_cfg(denoiser_of(unet, cond, options), in_one_batch(denoiser_of(unet, both, options)),
                  options.cfg_scale);
}

NoiseSource noise_of_rows(uint64_t seed, int64_t count) {
  std::vector<NoiseSource> sources;
  for (int64_t i = 0; i < count; ++i) {
    sources.push_back(make_torch_noise(seed + static_cast<uint64_t>(i)));
  }
  return make_batch_noise(std::move(sources));
}

}  // namespace

Tensor sample_batch(UNet unet, const Conditioning& cond, int64_t latent_side,
                    const SampleOptions& options) {
  const torch::NoGradGuard no_grad;
  const NoiseSchedule& schedule = options.noise_schedule;
  ScheduleSettings settings;
  settings.discard_penultimate = discards_penultimate(options.sampler, settings.dialect);
  const std::vector<double> sigmas =
      options.timesteps.empty()
          ? make_sigmas(options.schedule, schedule, static_cast<int>(options.steps), settings)
          : sigmas_from_timesteps(schedule, options.timesteps);
  const int64_t count = cond.context.size(0);
  const NoiseSource noise = noise_of_rows(options.seed, count);
  const Tensor first =
      noise({count, unet->config.in_channels, latent_side, latent_side}).to(cond.context.device());
  const Tensor x =
      initial_state(at::zeros_like(first), first, sigmas[0], NoiseScale::kUnitVariance);
  const SamplerRow& sampler = find_sampler(options.sampler);
  const Denoiser denoise = guided_denoiser(unet, cond, options);
  return sample(sampler, {denoise, sigmas, schedule, sampler.defaults, noise_like(noise), {}}, x);
}

}  // namespace fourstep
