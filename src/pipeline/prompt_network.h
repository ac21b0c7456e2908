#pragma once
// The UNet as functions of a noisy latent alone: one for each prompt of a request. What a prompt is at a noise level
// and which size it is told is decided here, and nowhere else in guidance.

#include <functional>
#include <vector>

#include "nets/unet_extras.h"
#include "pipeline/models.h"
#include "pipeline/prompts.h"
#include "pipeline/sampling_plan.h"
#include "sampling/guidance.h"

namespace fourstep {

/// An estimate of x0 as by a Denoiser. hooks: may be null.
using HookedDenoiser =
    std::function<Tensor(const Tensor& x, const Tensor& sigma, const UNetExtras* hooks)>;

struct PromptNetwork {
  HookedDenoiser cond;
  HookedDenoiser uncond;  ///< empty where the prompts have none
  HookedDenoiser empty;   ///< the same
  /// Both at once, in one batch where their contexts are of one length; else in two calls, uncond first. NAG acts on
  /// cond's rows alone; an attention map has uncond's samples first.
  std::function<CondUncond(const Tensor& x, const Tensor& sigma, const UNetExtras* hooks)> pair;
};

/// One for each stage of the prompts. Loads the UNet where it is not. Throws InvalidRequest as check_guided_layers().
std::vector<PromptNetwork> make_prompt_networks(Models& models, const ResolvedRequest& request,
                                                const PromptPlan& prompts, const SamplingPlan& plan,
                                                const Events& events);

}  // namespace fourstep
