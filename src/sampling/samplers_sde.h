#pragma once
// Samplers of the reverse SDE: exponential integrators in lambda = -log(sigma) with noise inside each step.
// eta scales the noise: 0 is the ODE, 1 the SDE. All: see SamplerFunction for arguments.

#include "sampling/sampler.h"

namespace fourstep {

/// DPM-Solver++ with two calls per step, the second at share r. Source: k-diffusion `sample_dpmpp_sde`.
Tensor sample_dpmpp_sde(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// SDE-DPM-Solver++(2M). Source: Lu et al. 2022 (2211.01095), section 5; k-diffusion `sample_dpmpp_2m_sde`.
Tensor sample_dpmpp_2m_sde(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The same with three estimates. Source: k-diffusion `sample_dpmpp_3m_sde`.
Tensor sample_dpmpp_3m_sde(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Extended reverse-time SDE solver with settings.order (1 to 3) stages.
/// Source: Cui et al. 2023 (2309.06169), with the noise scale of ComfyUI `sample_er_sde`.
Tensor sample_er_sde(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// SEEDS with two stages, the second at share r. Source: Gonzalez et al. 2023 (2305.14267), algorithm 2.
Tensor sample_seeds_2(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// SEEDS with three stages at shares 1/3 and 2/3. Source: Gonzalez et al. 2023 (2305.14267), algorithm 3.
Tensor sample_seeds_3(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
