#include "train/prompt_sampling.h"

#include "pipeline/guidance_setup.h"
#include "train/captions.h"

namespace fourstep {

Tensor sample_prompts(const PromptBatch& batch, const SamplingSettings& settings, uint64_t seed) {
  Request request;
  request.sampling = settings;
  request.picture = {.width = batch.side, .height = batch.side, .seed = seed};
  request.picture.images = batch.cond.context.size(0);
  ModelTraits traits;
  traits.zero_snr = batch.zero_snr;
  const ResolvedRequest resolved = resolve(request, traits);
  const SamplingPlan plan = plan_sampling(resolved);
  const std::vector<ImageSeed> seeds = image_seeds(resolved);
  PassStart start{seeds, batch.side, batch.side, batch.cond.context.device()};
  start.channels = batch.unet->config.in_channels;
  GuidanceSetup setup = guidance_setup(resolved, plan);
  setup.output = batch.output;
  setup.extras.adapters = batch.adapters;
  Prompts prompts{.cond = batch.cond};
  prompts.uncond = batch.uncond.context.defined() ? batch.uncond : null_condition(batch.cond);
  GuidedUNet guided(batch.unet, setup, {prompts}, {{0, 0}});
  return sample_pass(plan, estimates_of(guided, plan), start);
}

}  // namespace fourstep
