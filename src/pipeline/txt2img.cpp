// The whole method in reading order; each step is explained where it is declared.
#include "pipeline/txt2img.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include <chrono>
#include <functional>
#include <memory>

#include "base/error.h"
#include "base/image_noise.h"
#include "pipeline/decode.h"
#include "pipeline/sampling_plan.h"
#include "sampling/guidance.h"
#include "sampling/prompt_parts.h"

namespace fourstep {

namespace {

/// uncond first, then cond: the order that in_one_batch() expects.
Conditioning stack(const Conditioning& uncond, const Conditioning& cond) {
  const auto join = [](const Tensor& a, const Tensor& b) {
    return a.defined() ? at::cat({a, b}) : Tensor();
  };
  return {join(uncond.context, cond.context), join(uncond.pooled, cond.pooled),
          join(uncond.time_ids, cond.time_ids)};
}

Denoiser make_unet_denoiser(UNet unet, const Conditioning& cond, const Models& models,
                            const Request& request) {
  const Network network = [unet, cond](const Tensor& x, const Tensor& timestep) mutable {
    return unet->forward({x, timestep, cond.context, cond.pooled, cond.time_ids});
  };
  return make_denoiser(network, models.noise_schedule(request), models.network_output(request));
}

/// The guided estimate, and the way to the one without the prompt behind it.
struct Guided {
  Denoiser denoise;
  std::function<Tensor()> uncond;  ///< empty unless the sampler needs it
};

/// The further parts of "a AND b".
std::vector<WeightedDenoiser> other_parts(UNet unet, const Prompts& prompts, const Models& models,
                                          const Request& request) {
  std::vector<WeightedDenoiser> parts;
  for (const PromptPart& part : prompts.others) {
    parts.push_back({make_unet_denoiser(unet, part.cond, models, request), part.weight});
  }
  return parts;
}

/// Uncond and cond in one call where their contexts are of one length; further parts in calls of their own.
PairDenoiser make_pair(UNet unet, const Prompts& prompts, const Models& models,
                       const Request& request) {
  const Conditioning &cond = prompts.cond, &uncond = *prompts.uncond;
  const bool is_one_length = uncond.context.size(1) == cond.context.size(1);
  const PairDenoiser pair =
      is_one_length ? in_one_batch(make_unet_denoiser(unet, stack(uncond, cond), models, request))
                    : in_two_calls(make_unet_denoiser(unet, cond, models, request),
                                   make_unet_denoiser(unet, uncond, models, request));
  if (!prompts.has_parts()) return pair;
  return compose_parts(pair, prompts.weight, other_parts(unet, prompts, models, request));
}

/// The estimate with the prompt alone; uncond is called only where the weights of the parts ask for it.
Denoiser make_cond(UNet unet, const Prompts& prompts, const Models& models,
                   const Request& request) {
  const Denoiser first = make_unet_denoiser(unet, prompts.cond, models, request);
  if (!prompts.has_parts()) return first;
  if (!is_neutral_scale(prompts.total_weight())) {
    const PairDenoiser pair = make_pair(unet, prompts, models, request);
    return [pair](const Tensor& x, const Tensor& sigma) { return pair(x, sigma).cond; };
  }
  std::vector<WeightedDenoiser> parts = other_parts(unet, prompts, models, request);
  parts.insert(parts.begin(), {first, prompts.weight});
  return sum_of_parts(std::move(parts));
}

/// SDXL is told the size of the picture with every prompt.
void set_size(Prompts& prompts, const Tensor& time_ids) {
  prompts.cond.time_ids = time_ids;
  for (PromptPart& part : prompts.others) part.cond.time_ids = time_ids;
  if (prompts.uncond) prompts.uncond->time_ids = time_ids;
}

Guided make_guided(Models& models, const Request& request, Prompts prompts, const Events& events) {
  const UNet unet = models.unet(events);
  set_size(prompts,
           size_time_ids({request.height, request.width, 0, 0, request.height, request.width})
               .to(models.placement().device));
  const Denoiser cond = make_cond(unet, prompts, models, request);
  if (!prompts.uncond) return {cond, {}};
  const PairDenoiser pair = make_pair(unet, prompts, models, request);
  if (!find_sampler(request.sampler).needs.uncond) {
    return {with_cfg(cond, pair, *request.cfg_scale), {}};
  }
  const auto last_uncond = std::make_shared<Tensor>();
  const auto denoise = [pair, last_uncond, scale = *request.cfg_scale](const Tensor& x,
                                                                       const Tensor& sigma) {
    const CondUncond estimates = pair(x, sigma);
    *last_uncond = estimates.uncond;
    return combine_cfg(estimates, scale);
  };
  return {denoise, [last_uncond] { return *last_uncond; }};
}

/// Counts its calls from 0 and passes each to the stage that it belongs to.
Guided at_calls(const std::vector<Guided>& stages, const std::vector<StageSpan>& spans) {
  if (stages.size() == 1) return stages.front();
  const auto next_call = std::make_shared<int64_t>(0);
  const auto stage = std::make_shared<size_t>(0);
  const auto denoise = [=](const Tensor& x, const Tensor& sigma) {
    *stage = stage_at(spans, (*next_call)++);
    return stages[*stage].denoise(x, sigma);
  };
  if (!stages.front().uncond) return {denoise, {}};
  return {denoise, [=] { return stages[*stage].uncond(); }};
}

void wait_for(const torch::Device& device) {
  if (device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device.index());
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void txt2img(Models& models, const Request& request, const PromptPlan& prompts,
             const Events& events, const OnImage& on_image) {
  const torch::NoGradGuard no_grad;
  const SamplingPlan plan = plan_sampling(request, models.noise_schedule(request));
  std::vector<Guided> stages;
  for (const Prompts& stage : prompts.stages) {
    stages.push_back(make_guided(models, request, stage, events));
  }

  for (int64_t i = 0; i < request.images; ++i) {
    const ImageSeed seed = image_seed(single_image(request, i));
    GeneratedImage result{i, seed.seed, {}, {}, 0, 0};
    const auto start = std::chrono::steady_clock::now();
    const NoiseSource noise = make_image_noise(seed);
    const Tensor first =
        noise({1, 4, request.height / 8, request.width / 8}).to(models.placement().device);
    const Tensor x = initial_state(at::zeros_like(first), first, plan.sigmas[0], plan.noise_scale);
    events.report({Stage::kSample, 0, static_cast<int64_t>(plan.sigmas.size()) - 1});
    const Guided guided = at_calls(stages, prompts.spans);
    const SamplerRun run{
        guided.denoise, plan.sigmas, plan.schedule, plan.settings, step_noise(plan, seed, noise),
        guided.uncond};
    const auto on_step = [&](const StepReport& step) {
      wait_for(x.device());  // else the bar would show queued steps, and Ctrl-C come late
      events.report({Stage::kSample, step.step + 1, step.num_steps, step.sigma, step.denoised});
    };
    Tensor latent = sample(plan.sampler, run, x, on_step);
    if (plan.output_scale != 1) latent = latent * plan.output_scale;
    result.latent = latent.to(torch::kCPU, torch::kFloat32);
    result.sample_seconds = seconds_since(start);
    result.image = decode_latent(models, latent, request.vae_tile, events);
    result.decode_seconds = seconds_since(start) - result.sample_seconds;
    on_image(result);
  }
}

}  // namespace fourstep
