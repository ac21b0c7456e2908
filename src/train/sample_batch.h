#pragma once
// Sampling whole batches of prompts with a network that is being trained or judged.

#include <string>
#include <vector>

#include "nets/unet.h"
#include "sampling/noise_schedule.h"
#include "sampling/parameterization.h"
#include "text/conditioning.h"

namespace fourstep {

struct SampleOptions {
  std::string sampler = "dpmpp_2m";
  std::string schedule = "karras";
  int64_t steps = 20;
  std::vector<double> timesteps = {};  ///< instead of schedule and steps, where given
  double cfg_scale = 1;
  uint64_t seed = 0;
  NetworkOutput output = NetworkOutput::kEps;
  NoiseSchedule noise_schedule = make_sdxl_noise_schedule();
  Conditioning uncond =
      {};  ///< of guidance, as many rows as there are prompts; zeros when not given
  std::shared_ptr<const Branches> adapters = {};  ///< null: none
};

/// Latents [B,4,h,w] fp32 for the B prompts in `cond`. latent_side: h = w. The noise of row i
/// depends on the seed and i alone. Records no gradients.
Tensor sample_batch(UNet unet, const Conditioning& cond, int64_t latent_side,
                    const SampleOptions& options);

}  // namespace fourstep
