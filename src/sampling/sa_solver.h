#pragma once
// SA-Solver: stochastic Adams predictor and corrector. See SamplerFunction for arguments.
// The step's noise has share tau = settings.eta between the levels at which 20% and 80% of the model's
// timesteps are done, and tau = 0 elsewhere. settings.order: estimates of the predictor; the corrector has one more.
// Source: Xue et al. 2023 (2309.05019), algorithm 1; the interval and orders are ComfyUI's.

#include "sampling/sampler.h"

namespace fourstep {

/// One call per step: the corrector's state is not evaluated again (PEC).
Tensor sample_sa_solver(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// One call per step with two estimates for predictor and corrector; noise in the steps that begin at timesteps 200
/// to 800, drawn in all. settings.last_step kFirstOrder: the last step has one estimate; else the state at the last
/// level, if it is above 0, is corrected by a call there. Source: diffusers' SASolverScheduler.
Tensor sample_sa_solver_two_points(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Two calls per step: the corrected state is evaluated again (PECE).
Tensor sample_sa_solver_pece(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
