#pragma once
// Samplers that go down further than asked and come back up with fresh noise, and those that noise the
// estimate of x0 afresh. All: see SamplerFunction for arguments.

#include "sampling/sampler.h"

namespace fourstep {

/// Latent consistency sampling: jump to x0, then noise afresh to the next level.
/// Source: Song et al. 2023 (2303.01469), algorithm 1; ComfyUI `sample_lcm`, diffusers' LCMScheduler.
Tensor sample_lcm(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The same with the boundary condition of latent consistency models.
/// Source: diffusers' LCMScheduler; see with_lcm_boundary().
Tensor sample_lcm_with_boundary(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Euler steps with fresh noise after each ("Euler a"); eta 0 gives the plain Euler method, though noise
/// is still drawn so that the stream moves on as in the reference.
/// Source: k-diffusion `sample_euler_ancestral`.
Tensor sample_euler_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DDIM in sigma space, where it is Euler's method with an ancestral share eta (default 0) of fresh noise.
/// With settings.timestep_stride it goes so many timesteps down and takes the state there, at unit variance,
/// for that of the list's next level. Source: Song et al. 2020 (2010.02502), eq. 12 and 16; diffusers.
Tensor sample_ddim(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DPM-Solver-2 down to the ancestral level, then noise. Source: k-diffusion `sample_dpm_2_ancestral`.
Tensor sample_dpm_2_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DPM-Solver++(2S) down to the ancestral level, then noise.
/// Source: Lu et al. 2022 (2211.01095), algorithm 1; k-diffusion `sample_dpmpp_2s_ancestral`.
Tensor sample_dpmpp_2s_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The posterior of the discrete diffusion process. Source: Ho et al. 2020 (2006.11239), eq. 6 and 7.
Tensor sample_ddpm(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Trajectory consistency sampling: down to timestep (1 - eta) t, then noise up to t. Where both are one timestep
/// (near timestep 0, and without eta) there is no noise to add. The last step lands on timestep 0, at unit
/// variance. eta: 0..1. Source: Zheng et al. 2024 (2402.19159), algorithm 4; diffusers' TCDScheduler.
Tensor sample_tcd(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
