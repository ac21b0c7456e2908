#pragma once
// DPM-Solver in lambda = -log(sigma) with steps of its own choice between the first and the last level above
// 0, where it ends. See SamplerFunction for arguments. Source: Lu et al. 2022 (2206.00927); the choice of steps is
// that of k-diffusion's `sample_dpm_fast` and `sample_dpm_adaptive`.

#include "sampling/sampler.h"

namespace fourstep {

/// As many calls as the list has steps, in steps of order 3 and a rest of order 2 and 1.
Tensor sample_dpm_fast(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Steps of order 3 (settings.order 2: 2) whose length follows from their error; the list's number of
/// steps does not matter. Throws Error after 1000 steps.
Tensor sample_dpm_adaptive(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
