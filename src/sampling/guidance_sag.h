#pragma once
// Self-attention guidance and other guidance by a degraded estimate.

#include "base/tensor.h"

namespace fourstep {

/// Which positions of an attention map's grid are attended to more than `threshold` times a uniform share.
/// attention: [B,heads,L,L], rows sum to 1. Returns bool [B,L].
/// Source: Hong et al. 2022 (2210.00939), eq. 14.
Tensor attended_positions(const Tensor& attention, double threshold);

/// denoised, blurred (9x9 Gaussian of `sigma` latent cells) inside the mask. denoised: [B,4,h,w]; mask: bool
/// [B,height,width] on the attention's coarser grid.
Tensor blur_attended(const Tensor& denoised, const Tensor& mask, double sigma);

/// denoised + scale * (better - degraded): away from an estimate that was made worse on purpose. All [B,4,h,w].
/// Source: Ahn et al. 2024 (2403.17377), eq. 13; ComfyUI's PAG and SAG.
Tensor guide_from_degraded(const Tensor& denoised, const Tensor& better, const Tensor& degraded,
                           double scale);

}  // namespace fourstep
