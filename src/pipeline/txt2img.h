#pragma once
// From a request to images: prompt -> conditioning -> latents -> pictures.

#include <functional>

#include "base/events.h"
#include "pipeline/models.h"
#include "pipeline/prompt_plan.h"
#include "pipeline/request.h"

namespace fourstep {

struct GeneratedImage {
  int64_t index = 0;  ///< 0 .. request.images - 1
  uint64_t seed = 0;  ///< the request's seed plus index
  Tensor latent;      ///< [1,4,h,w] fp32 on the CPU, scaled (what the VAE decodes times its factor)
  Tensor image;       ///< [1,3,H,W] fp32 on the CPU, about -1..1
  double sample_seconds = 0, decode_seconds = 0;
};

/// Called as each image is ready.
using OnImage = std::function<void(const GeneratedImage&)>;

/// Makes all images of a resolved request (resolve_defaults) with LoRAs already set. Each image is sampled
/// on its own, so image i equals the single run with the seed plus i to the bit. prompts: of this request.
/// Throws InvalidRequest for settings that cannot work, Cancelled when the user stops.
void txt2img(Models& models, const Request& request, const PromptPlan& prompts,
             const Events& events, const OnImage& on_image);

}  // namespace fourstep
