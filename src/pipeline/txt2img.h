#pragma once
// From a resolved request to images: plan -> network with its prompts -> latents -> pictures.

#include <functional>

#include "base/events.h"
#include "pipeline/models.h"
#include "pipeline/prompt_plan.h"
#include "request/resolve.h"

namespace fourstep {

struct GeneratedImage {
  int64_t index = 0;  ///< 0 .. request.images - 1
  uint64_t seed = 0;  ///< the request's seed plus index
  Tensor latent;      ///< [1,4,h,w] fp32 on the CPU, scaled (what the VAE decodes times its factor)
  Tensor image;       ///< [1,3,H,W] fp32 on the CPU, about -1..1
  double sample_seconds = 0;  ///< of its batch, divided by the images in it
  double decode_seconds = 0;
};

/// Called as each image is ready.
using OnImage = std::function<void(const GeneratedImage&)>;

/// Makes all images of a request with LoRAs already set, `request.batch` at once. Each has noise of its own, so image i
/// equals the single run with the seed plus i: to the bit where batch is 1, else up to rounding. prompts: of this request.
/// Throws InvalidRequest for settings that cannot work, Cancelled when the user stops.
void txt2img(Models& models, const ResolvedRequest& request, const PromptPlan& prompts,
             const Events& events, const OnImage& on_image);

}  // namespace fourstep
