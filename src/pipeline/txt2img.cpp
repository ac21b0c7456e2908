// The whole method in reading order; each step is explained where it is declared.
#include "pipeline/txt2img.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/image_noise.h"
#include "pipeline/decode.h"
#include "pipeline/guidance_setup.h"
#include "pipeline/hires.h"
#include "pipeline/sample_pass.h"
#include "pipeline/sampling_plan.h"

namespace fourstep {

namespace {

void wait_for(const torch::Device& device) {
  if (device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device.index());
}

/// Seconds since it was last asked.
class Lap {
 public:
  double operator()() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// Images must not depend on their neighbours.
size_t images_at_once(const ResolvedRequest& request) {
  const bool is_adaptive = find_sampler(request.sampling.sampler).needs.adaptive;
  return is_adaptive ? 1 : static_cast<size_t>(request.batch);
}

/// What a pass begins from: nothing, or the latents of the one before at its size.
Tensor upscaled(const Tensor& latents, const ResolvedRequest& pass) {
  if (!latents.defined()) return latents;
  return upscale_latent(latents, pass.height / 8, pass.width / 8, pass.hires.upscale);
}

}  // namespace

void txt2img(Models& models, const ResolvedRequest& request, const PromptPlan& prompts,
             const Events& events, const OnImage& on_image) {
  const torch::NoGradGuard no_grad;
  const std::vector<PassPlan> passes = plan_passes(request);
  std::vector<GuidedUNet> networks;
  for (const PassPlan& pass : passes) {
    GuidanceSetup setup = guidance_setup(pass.request, pass.plan);
    setup.extras.between_layers = [&] { events.check_cancelled(); };
    networks.emplace_back(models.unet(events), setup, prompts.stages, prompts.spans);
  }
  const torch::Device device = models.placement().device;
  const OnStep on_step = [&](const StepReport& step) {
    wait_for(device);  // else the bar would show queued steps, and Ctrl-C come late
    events.report({Stage::kSample, step.step + 1, step.num_steps, step.sigma, step.denoised});
  };
  const std::vector<ImageSeed> all_seeds = image_seeds(request);
  for (size_t done = 0; done < all_seeds.size();) {
    const size_t count = std::min(images_at_once(request), all_seeds.size() - done);
    const std::span seeds = std::span(all_seeds).subspan(done, count);
    Lap lap;
    Tensor latents;
    for (size_t i = 0; i < passes.size(); ++i) {
      const auto& [asked, plan] = passes[i];
      GuidedUNet& guided = networks[i];
      guided.restart();
      events.report({Stage::kSample, 0, static_cast<int64_t>(plan.sigmas.size()) - 1});
      PassEstimates estimates = estimates_of(guided, plan);
      estimates.denoise = with_lora_steps(models, plan.sigmas, estimates.denoise, events);
      const Tensor under = upscaled(latents, asked);
      latents =
          sample_pass(plan, estimates, {seeds, asked.width, asked.height, device, under}, on_step);
    }
    const double sample_seconds = lap() / static_cast<double>(count);
    for (const Tensor& latent : latents.split(1)) {
      const auto row = static_cast<int64_t>(done++);
      GeneratedImage made;
      made.index = row;
      made.seed = all_seeds[row].seed;
      made.latent = latent.to(torch::kCPU, torch::kFloat32);
      made.image = decode_latent(models, latent, request.vae_tile, events);
      made.sample_seconds = sample_seconds;
      made.decode_seconds = lap();
      on_image(made);
      lap();
    }
  }
}

}  // namespace fourstep
