#pragma once
// Attention parts of the UNet: cross and self attention, the gated feed-forward, and the spatial
// transformer around them. Member names are the parameter names of diffusers checkpoints.

#include "layers/layers.h"
#include "layers/module_list.h"
#include "nets/unet_hooks.h"

namespace fourstep {

struct TransformerOptions {
  int64_t heads = 10;
  int64_t cross_width = 2048;  ///< width of the text context
  bool has_linear_projection = true;
};

/// Multi-head attention: to_out(attention(to_q(x), to_k(context), to_v(context))). q, k, v without bias.
struct CrossAttentionImpl : nn::Module {
  CrossAttentionImpl(int64_t channels, int64_t context_width, int64_t heads);

  /// x: [B,L,channels]; context: [B,Lc,context_width], x itself for self attention.
  /// Returns [B,L,channels].
  Tensor forward(const Tensor& x, const Tensor& context);

  Linear to_q{nullptr}, to_k{nullptr}, to_v{nullptr};
  ModuleList<Linear> to_out;  ///< one entry
  int64_t heads;
};
TORCH_MODULE(CrossAttention);

/// Projection to twice `width`, of which the second half gates the first: a * gelu(b), exact gelu.
/// Source: Shazeer 2020 (2002.05202), eq. 6.
struct GegluImpl : nn::Module {
  GegluImpl(int64_t channels, int64_t width);
  Tensor forward(const Tensor& x);  ///< [...,channels] -> [...,width]
  Linear proj{nullptr};
};
TORCH_MODULE(Geglu);

/// GEGLU to four times the width and back. x: [...,channels]. Returns the same shape.
struct FeedForwardImpl : nn::Module {
  explicit FeedForwardImpl(int64_t channels);
  Tensor forward(const Tensor& x);
  Geglu gate{nullptr};  ///< named net.0
  Linear out{nullptr};  ///< named net.2
};
TORCH_MODULE(FeedForward);

/// Self attention, attention to the text, feed-forward; each on a layer norm and added to its input.
struct TransformerBlockImpl : nn::Module {
  TransformerBlockImpl(int64_t channels, const TransformerOptions& options);

  /// x: [B,L,channels]; context: [B,Lc,cross_width]. Returns [B,L,channels].
  Tensor forward(Tensor x, const Tensor& context);

  /// The same with hooks; with NAG, context has the rows of cat_nag_context().
  Tensor forward_hooked(Tensor x, const Tensor& context, const TransformerHooks& hooks);

  LayerNorm norm1{nullptr}, norm2{nullptr}, norm3{nullptr};
  CrossAttention attn1{nullptr}, attn2{nullptr};
  FeedForward ff{nullptr};
};
TORCH_MODULE(TransformerBlock);

/// C -> C on tokens, stored as a matrix or (SD 1.5) as a 1x1 convolution: the same numbers.
/// x: [B,L,C]. Returns [B,L,C].
struct TokenProjectionImpl : nn::Module {
  TokenProjectionImpl(int64_t channels, bool is_linear);
  Tensor forward(const Tensor& x);
  Tensor weight;                          ///< [C,C] or [C,C,1,1]
  Tensor bias;                            ///< [C]
  const LowRankBranch* branch = nullptr;  ///< not owned; null: none
};
TORCH_MODULE(TokenProjection);

/// A map as tokens through `depth` transformer blocks, added to the map.
struct SpatialTransformerImpl : nn::Module {
  SpatialTransformerImpl(int64_t channels, int64_t depth, const TransformerOptions& options);

  /// x: [B,channels,h,w]; context: [B,Lc,cross_width]. Returns [B,channels,h,w], channels-last.
  /// is_recomputed: gradient checkpointing of each transformer block, see recompute().
  Tensor forward(const Tensor& x, const Tensor& context, bool is_recomputed = false);

  /// The same with hooks; with NAG, context has the rows of cat_nag_context().
  Tensor forward_hooked(const Tensor& x, const Tensor& context, TransformerHooks hooks);

  GroupNorm norm{nullptr};  ///< eps 1e-6, unlike the UNet's other group norms
  TokenProjection proj_in{nullptr}, proj_out{nullptr};
  ModuleList<TransformerBlock> transformer_blocks;
};
TORCH_MODULE(SpatialTransformer);

/// [B,C,h,w] -> [B,h*w,C], row by row; a view of a channels-last map.
Tensor tokens_from_map(const Tensor& map);

/// [B,h*w,C] -> [B,C,h,w], always a view (channels-last).
Tensor map_from_tokens(const Tensor& tokens, int64_t height, int64_t width);

}  // namespace fourstep
