#pragma once
// Guidance methods that change the size of what classifier-free guidance returns: contrast and saturation burn at
// high scales because its result has a larger spread than any training picture's.

#include "base/tensor.h"
#include "sampling/guidance.h"
#include "sampling/parameterization.h"

namespace fourstep {

/// Of `guided`, the share `share` is brought to the spread of `cond`, sample by sample; 0 changes nothing.
/// [B,4,h,w] each: outputs of a network. Source: Lin et al. 2023 (2305.08891), section 3.4; diffusers'
/// `guidance_rescale`.
Tensor rescale_to_cond(const Tensor& guided, const Tensor& cond, double share);

/// Classifier-free guidance, then rescale_to_cond(), both on what a network of kind `output` (kEps or kV) would have
/// returned. ComfyUI's RescaleCFG takes kV whatever the network is, diffusers the network's own.
Tensor combine_rescaled(const Tensor& x, double sigma, const CondUncond& pair, double scale,
                        double share, NetworkOutput output);

/// The unconditional part scaled to fit the conditional one best. guided: what combine_cfg() gave.
/// Source: Fan et al. 2025 (2503.18886), eq. 8; ComfyUI's CFG-Zero*.
Tensor cfg_zero_star(const Tensor& x, const CondUncond& pair, const Tensor& guided, double scale);

/// Shortens each position's channel vector to at most that of `cond`, then times `strength`. Source: ComfyUI's CFGNorm.
Tensor cfg_norm(const Tensor& cond, const Tensor& guided, double strength);

/// Between the guided estimate and scale * cond, by how similar their directions are (mean over the batch).
/// Source: ComfyUI's Mahiro.
Tensor mahiro(const CondUncond& pair, const Tensor& guided, double scale);

/// x - (x - denoised) / factor: weaker noise estimates against exposure bias.
/// Source: Ning et al. 2023 (2308.15321), eq. 9; ComfyUI's Epsilon Scaling.
Tensor scale_epsilon(const Tensor& x, const Tensor& denoised, double factor);

}  // namespace fourstep
