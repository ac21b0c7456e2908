#pragma once
// SA-Solver: stochastic Adams predictor and corrector. See SamplerFunction for arguments.
// The step's noise has share tau = settings.eta between the levels at which 20% and 80% of the model's
// timesteps are done, and tau = 0 elsewhere. settings.order: estimates of the predictor; the corrector has one more.
// Source: Xue et al. 2023 (2309.05019), algorithm 1; the interval and orders are ComfyUI's.

#include "sampling/sampler.h"

namespace fourstep {

/// One call per step: the corrector's state is not evaluated again (PEC).
Tensor sample_sa_solver(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Two calls per step: the corrected state is evaluated again (PECE).
Tensor sample_sa_solver_pece(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
