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

/// For one image: some methods remember earlier steps. network: of make_prompt_network().
Guided make_guided(const PromptNetwork& network, const Models& models, const Request& request,
                   const Prompts& prompts, const SamplingPlan& plan);

/// Counts its calls from 0 and passes each to the stage that it belongs to.
Guided at_calls(const std::vector<Guided>& stages, const std::vector<StageSpan>& spans);

}  // namespace fourstep
