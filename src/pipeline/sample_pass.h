#pragma once
// The one way from noise to latents: `generate`, evaluation, sheets and reports all sample by it, at any batch size.

#include <functional>
#include <span>
#include <vector>

#include "base/events.h"
#include "base/image_noise.h"
#include "pipeline/models.h"
#include "pipeline/sampling_plan.h"
#include "sampling/denoiser.h"

namespace fourstep {

/// The estimates that a sampler asks for.
struct PassEstimates {
  Denoiser denoise;                ///< with guidance
  std::function<Tensor()> uncond;  ///< that without the prompt behind the last one; may be empty
};

/// What a pass begins with: a row for each image.
struct PassStart {
  std::span<const ImageSeed>
      seeds;  ///< of the rows; row i equals a pass with seeds[i] alone, up to rounding
  int64_t width = 0, height = 0;  ///< px, multiples of 8
  torch::Device device = torch::kCPU;
  Tensor latent = {};  ///< [B,4,h,w] fp32 under the noise, or [1,4,h,w] for all; undefined: zeros
  int64_t channels = 4;
};

/// Samples all rows of `start` together, each from its own noise stream (start and steps; Brownian paths too), down to
/// plan.sigmas.back(). Returns [B,C,h,w] fp32 on start.device, scaled (what the VAE decodes times its factor).
/// Records no gradients.
///
/// For B different prompts the network behind `estimates` has conditionings of B rows: row i of x is of prompt i.
/// GuidedUNet makes such estimates of Prompts whose Conditionings have B rows each (or one row, which counts for all).
Tensor sample_pass(const SamplingPlan& plan, const PassEstimates& estimates, const PassStart& start,
                   const OnStep& on_step = {});

/// `denoise`, before whose first call of each step (position_of()) the UNet gets its LoRAs' weights of that step; just
/// `denoise` where no weight changes. sigmas: of the pass. models, sigmas and events must outlive it.
Denoiser with_lora_steps(Models& models, const std::vector<double>& sigmas, Denoiser denoise,
                         const Events& events);

}  // namespace fourstep
