#pragma once
// What the diffusers dialect changes in a sampling plan: ends, formulas, and what the network is told.

#include "pipeline/sampling_plan.h"
#include "request/resolve.h"

namespace fourstep {

/// plan: as for any dialect, its list of noise levels ending in 0. Where diffusers has no scheduler for the sampler, the
/// plan stays but for the rounding of timesteps. Throws InvalidRequest for spacings that the scheduler does not have.
void follow_diffusers(const ResolvedSampling& asked, SamplingPlan& plan);

}  // namespace fourstep
