#pragma once
// LoRAs whose weights change from step to step.

#include <vector>

#include "base/events.h"
#include "pipeline/models.h"
#include "sampling/denoiser.h"

namespace fourstep {

/// `denoise`, before whose first call of each step (position_of()) the UNet gets its LoRAs' weights of that step; just
/// `denoise` where no weight changes. For one image. sigmas: of the run. models, sigmas and events must outlive it.
Denoiser with_lora_steps(Models& models, const std::vector<double>& sigmas, Denoiser denoise,
                         const Events& events);

}  // namespace fourstep
