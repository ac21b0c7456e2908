#pragma once
// The attentions of a transformer block with TransformerHooks; the plain ones are CrossAttentionImpl's own.

#include "nets/unet_hooks.h"

namespace fourstep {

struct CrossAttentionImpl;

/// Self attention, degraded and with its map taken down as the hooks say. x: [B,L,channels]. Returns the same shape.
Tensor hooked_self_attention(CrossAttentionImpl& layer, const Tensor& x,
                             const TransformerHooks& hooks);

/// Attention to the text with NAG. x: [B,L,channels]; context: [B+P,Lc,cross_width] of cat_nag_context(), whose last
/// P rows are the negative prompt's for the last P samples. Returns as x.
Tensor nag_cross_attention(CrossAttentionImpl& layer, const Tensor& x, const Tensor& context,
                           const NagGuidance& nag);

}  // namespace fourstep
