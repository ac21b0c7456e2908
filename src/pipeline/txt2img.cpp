// The whole method in reading order; each step is explained where it is declared.
#include "pipeline/txt2img.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include <chrono>

#include "base/error.h"
#include "base/image_noise.h"
#include "pipeline/decode.h"
#include "pipeline/guided_denoiser.h"
#include "pipeline/lora_steps.h"
#include "pipeline/sampling_plan.h"

namespace fourstep {

namespace {

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
  const std::vector<PromptNetwork> networks =
      make_prompt_networks(models, request, prompts, plan, events);

  for (int64_t i = 0; i < request.images; ++i) {
    const ImageSeed seed = image_seed(single_image(request, i));
    GeneratedImage result{i, seed.seed, {}, {}, 0, 0};
    const auto start = std::chrono::steady_clock::now();
    const NoiseSource noise = make_image_noise(seed);
    const Tensor first =
        noise({1, 4, request.height / 8, request.width / 8}).to(models.placement().device);
    const Tensor x = initial_state(at::zeros_like(first), first, plan.sigmas[0], plan.noise_scale);
    events.report({Stage::kSample, 0, static_cast<int64_t>(plan.sigmas.size()) - 1});
    const Guided guided = make_guided(networks, models, request, prompts, plan);
    const SamplerRun run{with_lora_steps(models, plan.sigmas, guided.denoise, events),
                         plan.sigmas,
                         plan.schedule,
                         plan.settings,
                         step_noise(plan, seed, noise),
                         guided.uncond,
                         plan.timestep_of};
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
