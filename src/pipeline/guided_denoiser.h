#pragma once
// The Denoiser that samplers get: the network with all prompts and all guidance of a request.

#include <functional>
#include <vector>

#include "pipeline/prompt_network.h"
#include "pipeline/sampling_plan.h"

namespace fourstep {

/// The guided estimate, and the way to the one without the prompt behind it.
struct Guided {
  Denoiser denoise;
  std::function<Tensor()> uncond;  ///< empty unless the sampler needs it
};

/// For one image: it counts its calls, each of which has the prompts of its stage, and some methods remember earlier
/// steps. networks: of make_prompt_networks().
Guided make_guided(const std::vector<PromptNetwork>& networks, const ResolvedRequest& request,
                   const PromptPlan& prompts, const SamplingPlan& plan);

}  // namespace fourstep
