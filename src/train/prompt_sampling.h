#pragma once
// Sampling many prompts at once with a network that is being trained, by the one pass of the
// pipeline.

#include <memory>

#include "nets/unet.h"
#include "request/model_traits.h"
#include "request/settings.h"
#include "text/conditioning.h"

namespace fourstep {

/// Pictures of one network, a row of the conditionings for each.
struct PromptBatch {
  UNet unet;
  std::shared_ptr<const Branches> adapters = {};  ///< null: none
  Conditioning cond = {};
  Conditioning uncond = {};                    ///< of guidance; zeros when not given
  int64_t side = 0;                            ///< of the pictures, in px
  NetworkOutput output = NetworkOutput::kEps;  ///< of the network
  bool zero_snr = false;                       ///< of its noise schedule
};

/// Latents [B,4,h,w] fp32 on the device of the conditionings. Row i has the noise that `generate`
/// makes of seed + i. settings: as of a request, with sampler and schedule named. Records no
/// gradients. Throws InvalidRequest for settings that cannot work.
Tensor sample_prompts(const PromptBatch& batch, const SamplingSettings& settings, uint64_t seed);

}  // namespace fourstep
