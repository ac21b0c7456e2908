#include "pipeline/lora_steps.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "sampling/guidance_pipeline.h"

namespace fourstep {

Denoiser with_lora_steps(Models& models, const std::vector<double>& sigmas, Denoiser denoise,
                         const Events& events) {
  const std::vector<LoraUse>& loras = models.loras();
  const bool is_constant = std::all_of(
      loras.begin(), loras.end(), [](const LoraUse& use) { return use.unet_weight.is_constant(); });
  if (is_constant) return denoise;
  Events silent = events;  // the bar counts steps meanwhile; Ctrl-C still works
  silent.on_progress = nullptr;
  const auto worn_step = std::make_shared<int64_t>(-1);
  return [&models, &sigmas, denoise = std::move(denoise), silent, worn_step](const Tensor& x,
                                                                             const Tensor& sigma) {
    const StepPosition now = position_of(sigmas, sigma[0].item<double>());
    if (now.step != *worn_step) models.set_lora_step(now.step, now.num_steps, silent);
    *worn_step = now.step;
    return denoise(x, sigma);
  };
}

}  // namespace fourstep
