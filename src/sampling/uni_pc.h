#pragma once
// UniPC: unified predictor and corrector. See SamplerFunction for arguments.

#include "sampling/sampler.h"

namespace fourstep {

/// UniPC with B(h) = h ("bh1"). A last sigma of 0 becomes 0.001, as in ComfyUI, unless settings.last_step asks for the
/// estimate, as diffusers ends; a single step returns the estimate.
/// settings.order: 1 to 3 estimates. Source: Zhao et al. 2023 (2302.04867), algorithms 1 and 2.
Tensor sample_uni_pc(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// UniPC with B(h) = exp(h) - 1 ("bh2"), the paper's choice for few steps.
Tensor sample_uni_pc_bh2(const SamplerRun& run, Tensor x, const OnStep& on_step);

}  // namespace fourstep
