#pragma once
// What the weight of a token does to the encoder's state of it.

#include "base/tensor.h"

namespace fourstep {

/// Whose mathematics. z: a state, w: its token's weight.
enum class EmphasisRule {
  kIgnore,  ///< z
  kNoNorm,  ///< w * z; A1111's "No norm", which its authors advise for SDXL
  kOriginal,  ///< w * z, then all states times one factor that restores their mean; A1111's "Original"
  kComfy,  ///< z_empty + w * (z - z_empty), z_empty being the state at this place of an empty prompt
};

/// z: [B,L,C], states of one chunk; weights: [B,L]; empty: [1,L,C], only looked at by kComfy. Computed in fp32 at
/// least, returned in the dtype of z. Where all weights are 1, z comes back as it is.
/// Source: A1111's and Forge's emphasis classes, ComfyUI's `encode_token_weights`.
Tensor weigh_tokens(const Tensor& z, const Tensor& weights, EmphasisRule rule, const Tensor& empty);

/// The same for several chunks, z [n,L,C] and weights [n,L], each on its own. Returns [1,n*L,C].
Tensor weigh_chunks(const Tensor& z, const Tensor& weights, EmphasisRule rule, const Tensor& empty);

}  // namespace fourstep
