// The whole method in reading order; each step is explained where it is declared.
#include "pipeline/txt2img.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include <chrono>

#include "base/dialect.h"
#include "base/error.h"
#include "base/image_noise.h"
#include "pipeline/decode.h"
#include "pipeline/guidance_stages.h"
#include "pipeline/guided_denoiser.h"
#include "pipeline/sampling_plan.h"

namespace fourstep {

namespace {

void wait_for(const torch::Device& device) {
  if (device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device.index());
}

/// What NAG and Perp-Neg need: encoded as any other prompt, an empty one too.
void add_guidance_prompts(Prompts& prompts, const TextEncoders& encoders, const Request& request,
                          const PromptOptions& options) {
  const GuidanceOptions& guidance = request.guidance;
  const std::string& away =
      guidance.nag_prompt.empty() ? request.negative_prompt : guidance.nag_prompt;
  if (has_nag(guidance)) prompts.nag = encode_prompt(encoders, away, options);
  if (is_method_on(guidance, "perp_neg")) prompts.empty = encode_prompt(encoders, "", options);
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
  Prompts prompts;
  prompts.cond = encode_prompt(encoders, request.prompt, options);
  add_guidance_prompts(prompts, encoders, request, options);
  if (needs_uncond(request.guidance, *request.cfg_scale,
                   find_sampler(request.sampler).needs.uncond)) {
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
  const PromptNetwork network = make_prompt_network(models, request, prompts, events);

  for (int64_t i = 0; i < request.images; ++i) {
    const ImageSeed seed = image_seed(single_image(request, i));
    GeneratedImage result{i, seed.seed, {}, {}, 0, 0};
    const auto start = std::chrono::steady_clock::now();
    const Guided guided = make_guided(network, models, request, prompts, plan);
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
