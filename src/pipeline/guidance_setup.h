#pragma once
// From a request to the setup of its guidance.

#include "guidance/guided_unet.h"
#include "pipeline/sample_pass.h"

namespace fourstep {

/// plan: of this request.
GuidanceSetup guidance_setup(const ResolvedRequest& request, const SamplingPlan& plan);

/// What a pass asks the network for. guided: of this plan; it must outlive the result.
PassEstimates estimates_of(GuidedUNet& guided, const SamplingPlan& plan);

}  // namespace fourstep
