#include "train/prompt_sampling.h"

#include "pipeline/sample_pass.h"
#include "sampling/guidance.h"
#include "train/captions.h"

namespace fourstep {

namespace {

Denoiser denoiser_of(const PromptBatch& batch, const Conditioning& cond, const SamplingPlan& plan) {
  const UNetExtras extras{.adapters = batch.adapters};
  const Network network = [unet = batch.unet, cond, extras](const Tensor& x,
                                                            const Tensor& timestep) mutable {
    return unet->forward({x, timestep, cond.context, cond.pooled, cond.time_ids, &extras});
  };
  return make_denoiser(network, plan.timestep_of, batch.output);
}

PassEstimates estimates_of(const PromptBatch& batch, const SamplingPlan& plan, double cfg_scale) {
  const Conditioning uncond =
      batch.uncond.context.defined() ? batch.uncond : null_condition(batch.cond);
  const auto last_uncond = std::make_shared<Tensor>();
  const PairDenoiser pair =
      [last_uncond, both = in_one_batch(denoiser_of(batch, stack_rows(uncond, batch.cond), plan))](
          const Tensor& x, const Tensor& sigma) {
        CondUncond estimates = both(x, sigma);
        *last_uncond = estimates.uncond;
        return estimates;
      };
  if (!plan.sampler.needs.uncond) {
    return {with_cfg(denoiser_of(batch, batch.cond, plan), pair, cfg_scale), {}};
  }
  const Denoiser guided = [pair, cfg_scale](const Tensor& x, const Tensor& sigma) {
    return combine_cfg(pair(x, sigma), cfg_scale);
  };
  return {guided, [last_uncond] { return *last_uncond; }};
}

}  // namespace

Tensor sample_prompts(const PromptBatch& batch, const SamplingSettings& settings, uint64_t seed) {
  Request request;
  request.sampling = settings;
  request.picture = {.width = batch.side, .height = batch.side, .seed = seed};
  request.picture.images = batch.cond.context.size(0);
  ModelTraits traits;
  traits.zero_snr = batch.zero_snr;
  const ResolvedRequest resolved = resolve(request, traits);
  const SamplingPlan plan =
      plan_sampling(resolved.sampling, noise_schedule_of(settings.dialect, batch.zero_snr));
  const std::vector<ImageSeed> seeds = image_seeds(resolved);
  PassStart start{seeds, batch.side, batch.side, batch.cond.context.device()};
  start.channels = batch.unet->config.in_channels;
  return sample_pass(plan, estimates_of(batch, plan, resolved.sampling.cfg_scale), start);
}

}  // namespace fourstep
