#include "pipeline/sample_pass.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "guidance/method.h"

namespace fourstep {

Tensor sample_pass(const SamplingPlan& plan, const PassEstimates& estimates, const PassStart& start,
                   const OnStep& on_step) {
  const torch::NoGradGuard no_grad;
  const NoiseSource noise = make_image_noise(start.seeds);
  const auto rows = static_cast<int64_t>(start.seeds.size());
  const Tensor first =
      noise({rows, start.channels, start.height / 8, start.width / 8}).to(start.device);
  const Tensor latent =
      start.latent.defined() ? start.latent.to(start.device) : at::zeros_like(first);
  const SamplerRun run{estimates.denoise,
                       plan.sigmas,
                       plan.schedule,
                       plan.settings,
                       step_noise(plan, start.seeds, noise),
                       estimates.uncond,
                       plan.timestep_of};
  const Tensor x = initial_state(latent, first, plan.sigmas[0], plan.noise_scale);
  const Tensor end = plan.sampler.function(run, x, on_step);
  return plan.output_scale == 1 ? end : end * plan.output_scale;
}

Denoiser with_lora_steps(Models& models, const std::vector<double>& sigmas, Denoiser denoise,
                         const Events& events) {
  const std::vector<LoraUse>& loras = models.loras();
  const bool is_constant = std::all_of(
      loras.begin(), loras.end(), [](const LoraUse& use) { return use.unet_weight.is_constant(); });
  if (is_constant) return denoise;
  Events silent = events;  // the bar counts steps meanwhile; Ctrl-C still works
  silent.on_progress = nullptr;
  const auto present_step = std::make_shared<int64_t>(-1);
  return [&models, &sigmas, denoise = std::move(denoise), silent, present_step](
             const Tensor& x, const Tensor& sigma) {
    const StepPosition now = position_of(sigmas, sigma[0].item<double>());
    if (now.step != *present_step) models.set_lora_step(now.step, now.num_steps, silent);
    *present_step = now.step;
    return denoise(x, sigma);
  };
}

}  // namespace fourstep
