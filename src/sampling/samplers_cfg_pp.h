#pragma once
// CFG++ samplers: the guided estimate says where to go, the estimate without the prompt which noise to keep,
// so that small CFG scales (0.7 to 2) suffice. Source: Chung et al. 2024 (2406.08070); the forms are those of
// ComfyUI's `*_cfg_pp` samplers. All need SamplerRun::uncond; see SamplerFunction for arguments.

#include "sampling/sampler.h"

namespace fourstep {

/// Euler's method and DDIM. Source: 2406.08070, algorithm 2.
Tensor sample_euler_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// With ancestral noise.
Tensor sample_euler_ancestral_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DPM-Solver++(2M).
Tensor sample_dpmpp_2m_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DPM-Solver++(2S) with ancestral noise.
Tensor sample_dpmpp_2s_ancestral_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// RES multistep with ancestral noise (eta, default 0).
Tensor sample_res_multistep_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Euler's method that extrapolates the slope.
Tensor sample_gradient_estimation_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
