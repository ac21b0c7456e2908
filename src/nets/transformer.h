#pragma once
// The transformer of the UNet: attentions and gated feed-forward, and the map around them. Member
// names are the parameter names of diffusers checkpoints.

#include "nets/attention.h"

namespace fourstep {

struct TransformerOptions {
  int64_t heads = 10;
  int64_t cross_width = 2048;  ///< width of the text context
  bool has_linear_projection = true;
};

/// Projection to twice `width`, of which the second half gates the first: a * gelu(b), exact gelu.
/// Source: Shazeer 2020 (2002.05202), eq. 6.
struct GegluImpl : nn::Module {
  GegluImpl(int64_t channels, int64_t width);
  /// [...,channels] -> [...,width]
  Tensor forward(const Tensor& x, const Branches* branches = nullptr);
  Linear proj{nullptr};
};
TORCH_MODULE(Geglu);

/// GEGLU to four times the width and back. x: [...,channels]. Returns the same shape.
struct FeedForwardImpl : nn::Module {
  explicit FeedForwardImpl(int64_t channels);
  Tensor forward(const Tensor& x, const Branches* branches = nullptr);
  Geglu gate{nullptr};  ///< named net.0
  Linear out{nullptr};  ///< named net.2
};
TORCH_MODULE(FeedForward);

/// Self attention, attention to the text, feed-forward; each on a layer norm and added to its
/// input.
struct TransformerBlockImpl : nn::Module {
  TransformerBlockImpl(int64_t channels, const TransformerOptions& options);

  /// x: [B,L,channels]. self: what self attention is told beside the branches. Returns
  /// [B,L,channels].
  Tensor forward(Tensor x, const BlockCall& call, AttentionCall self = {});

  LayerNorm norm1{nullptr}, norm2{nullptr}, norm3{nullptr};
  CrossAttention attn1{nullptr}, attn2{nullptr};
  FeedForward ff{nullptr};
};
TORCH_MODULE(TransformerBlock);

/// C -> C on tokens, stored as a matrix or (SD 1.5) as a 1x1 convolution: the same numbers.
/// x: [B,L,C]. Returns [B,L,C].
struct TokenProjectionImpl : nn::Module {
  TokenProjectionImpl(int64_t channels, bool is_linear);
  Tensor forward(const Tensor& x, const Branches* branches = nullptr);
  Tensor weight;  ///< [C,C] or [C,C,1,1]
  Tensor bias;    ///< [C]
};
TORCH_MODULE(TokenProjection);

/// A map as tokens through `depth` transformer blocks, added to the map.
struct SpatialTransformerImpl : nn::Module {
  SpatialTransformerImpl(int64_t channels, int64_t depth, const TransformerOptions& options);

  /// x: [B,channels,h,w]. Returns [B,channels,h,w], channels-last.
  Tensor forward(const Tensor& x, const BlockCall& call);

  GroupNorm norm{nullptr};  ///< eps 1e-6, unlike the UNet's other group norms
  TokenProjection proj_in{nullptr}, proj_out{nullptr};
  ModuleList<TransformerBlock> transformer_blocks;
  std::string name;  ///< of transformer_names(): what UNetExtras call it

 private:
  AttentionCall self_attention_call(const Tensor& x, const UNetExtras& extras) const;
};
TORCH_MODULE(SpatialTransformer);

/// The weight of a layer that a branch can belong to; undefined for modules of other kinds.
Tensor weight_of_layer(nn::Module& layer);

/// [B,C,h,w] -> [B,h*w,C], row by row; a view of a channels-last map.
Tensor tokens_from_map(const Tensor& map);

/// [B,h*w,C] -> [B,C,h,w], always a view (channels-last).
Tensor map_from_tokens(const Tensor& tokens, int64_t height, int64_t width);

}  // namespace fourstep
