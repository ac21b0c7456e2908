#pragma once
// Samplers of the probability flow ODE without memory: x' = (x - D(x, sigma)) / sigma, one or more network
// calls per step, no noise but churn. All: see SamplerFunction for arguments.

#include "sampling/sampler.h"

namespace fourstep {

/// Euler's method. Source: Karras et al. 2022 (2206.00364), algorithm 2 without its second-order correction.
Tensor sample_euler(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The mean of the slopes at both ends, two calls per step. Source: Karras et al. 2022, algorithm 2.
Tensor sample_heun(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Slopes at up to three levels, weighted by them; the last two steps of the list take two and one.
/// Source: the "HeunPP2" sampler of ComfyUI and Forge.
Tensor sample_heunpp2(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DPM-Solver++(2S) whose middle is a level of the list: of every two steps the second goes over both from the
/// state before them. The last step is of first order. One call per step.
/// Source: Lu et al. 2022 (2211.01095), algorithm 1; diffusers' DPMSolverSinglestepScheduler.
Tensor sample_dpmpp_2s(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The slope at the geometric mean of both levels, two calls per step.
/// Source: Lu et al. 2022 (2206.00927), DPM-Solver-2; k-diffusion `sample_dpm_2`.
Tensor sample_dpm_2(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
