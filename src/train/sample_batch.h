#pragma once
// Sampling whole batches of prompts with a network that is being trained or judged.

#include <string>
#include <vector>

#include "base/events.h"
#include "nets/unet.h"
#include "text/conditioning.h"

namespace fourstep {

struct SampleOptions {
  std::string sampler = "dpmpp_2m";
  std::string schedule = "karras";
  int64_t steps = 20;
  std::vector<double> timesteps = {};  ///< instead of schedule and steps, where given
  double cfg_scale = 1;                ///< null condition: zeros
  uint64_t seed = 0;
};

/// Latents [B,4,h,w] fp32 for the B prompts in `cond`. latent_side: h = w. The noise of row i depends on the seed
/// and i alone. Records no gradients.
Tensor sample_batch(UNet unet, const Conditioning& cond, int64_t latent_side,
                    const SampleOptions& options);

}  // namespace fourstep
