#pragma once
// Restart sampling: Heun's method that goes back up over a stretch of noise levels. See SamplerFunction.

#include <span>
#include <vector>

#include "sampling/sampler.h"

namespace fourstep {

/// The levels to visit, with rises where noise is added. Fewer than 20 steps: the list as it is. Else a Karras
/// list of fewer steps, with one stretch (two from 36 steps) from about 2 to about 0.1 repeated at its end.
/// sigmas: falling, ending in 0. Source: Xu et al. 2023 (2306.14878); the numbers are those of A1111 and Forge.
std::vector<double> restart_levels(std::span<const double> sigmas);

Tensor sample_restart(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
