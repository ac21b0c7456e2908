// The whole method in reading order; each step is explained where it is declared.
#include "pipeline/txt2img.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include <chrono>
#include <functional>
#include <memory>

#include "base/dialect.h"
#include "base/error.h"
#include "base/image_noise.h"
#include "pipeline/decode.h"
#include "pipeline/sampling_plan.h"
#include "sampling/guidance.h"

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

/// Uncond and cond in one call where their contexts are of one length.
PairDenoiser make_pair(UNet unet, const Prompts& prompts, const Denoiser& cond,
                       const Models& models, const Request& request) {
  if (prompts.uncond->context.size(1) != prompts.cond.context.size(1)) {
    return in_two_calls(cond, make_unet_denoiser(unet, *prompts.uncond, models, request));
  }
  return in_one_batch(
      make_unet_denoiser(unet, stack(*prompts.uncond, prompts.cond), models, request));
}

Guided make_guided(Models& models, const Request& request, Prompts prompts, const Events& events) {
  const UNet unet = models.unet(events);
  const Tensor time_ids =
      size_time_ids({request.height, request.width, 0, 0, request.height, request.width})
          .to(models.placement().device);
  prompts.cond.time_ids = time_ids;
  const Denoiser cond = make_unet_denoiser(unet, prompts.cond, models, request);
  if (!prompts.uncond) return {cond, {}};
  prompts.uncond->time_ids = time_ids;
  const PairDenoiser pair = make_pair(unet, prompts, cond, models, request);
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

void wait_for(const torch::Device& device) {
  if (device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device.index());
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Prompts encode_prompts(Models& models, const Request& request, const Events& events) {
  const torch::NoGradGuard no_grad;
  const TextEncoders encoders = models.text_encoders(events);
  events.report({Stage::kEncode, 0, 1});
  PromptOptions options;
  options.clip_skip = request.clip_skip;
  Prompts prompts{encode_prompt(encoders, request.prompt, options), std::nullopt};
  if (!is_neutral_scale(*request.cfg_scale) || find_sampler(request.sampler).needs.uncond) {
    // SDXL was trained with zeros for a dropped prompt, SD 1.5 with the encoded empty text.
    const bool is_sdxl = encoders.state == ContextState::kPenultimate;
    const bool is_zero = request.empty_negative == "zeros" ||
                         (request.empty_negative == "auto" && is_sdxl &&
                          dialect_from_name(request.dialect) != Dialect::kComfy);
    options.empty = is_zero ? EmptyPrompt::kZero : EmptyPrompt::kEncode;
    prompts.uncond = encode_prompt(encoders, request.negative_prompt, options);
  }
  events.report({Stage::kEncode, 1, 1});
  return prompts;
}

void txt2img(Models& models, const Request& request, const Prompts& prompts, const Events& events,
             const OnImage& on_image) {
  const torch::NoGradGuard no_grad;
  const SamplingPlan plan = plan_sampling(request, models.noise_schedule(request));
  const Guided guided = make_guided(models, request, prompts, events);

  for (int64_t i = 0; i < request.images; ++i) {
    const ImageSeed seed = image_seed(single_image(request, i));
    GeneratedImage result{i, seed.seed, {}, {}, 0, 0};
    const auto start = std::chrono::steady_clock::now();
    const NoiseSource noise = make_image_noise(seed);
    const Tensor first =
        noise({1, 4, request.height / 8, request.width / 8}).to(models.placement().device);
    const Tensor x = initial_state(at::zeros_like(first), first, plan.sigmas[0], plan.noise_scale);
    events.report({Stage::kSample, 0, static_cast<int64_t>(plan.sigmas.size()) - 1});
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
