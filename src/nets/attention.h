#pragma once
// The attentions of a transformer block: to the map itself and to the text, with what a call may
// change in them. Member names are the parameter names of diffusers checkpoints.

#include <span>

#include "layers/layers.h"
#include "layers/module_list.h"
#include "nets/unet_extras.h"

namespace fourstep {

/// What one attention is told beyond its inputs; by default nothing.
struct AttentionCall {
  const Branches* branches = nullptr;
  /// Of attention to the text. With NAG's, context has the rows of cat_contexts().
  std::span<const AttentionTerm> terms = {};
  const DegradedLayers* degraded = nullptr;  ///< how self attention is made worse; null: not
  AttentionMap* map = nullptr;               ///< to be filled
  int64_t height = 0, width = 0;             ///< of the map whose positions are the tokens
};

/// Multi-head attention: to_out(attention(to_q(x), to_k(context), to_v(context))). q, k, v without
/// bias.
struct CrossAttentionImpl : nn::Module {
  CrossAttentionImpl(int64_t channels, int64_t context_width, int64_t heads);

  /// x: [B,L,channels]; context: [B,Lc,context_width], x itself for self attention.
  /// Returns [B,L,channels].
  Tensor forward(const Tensor& x, const Tensor& context, const AttentionCall& call = {});

  Linear to_q{nullptr}, to_k{nullptr}, to_v{nullptr};
  ModuleList<Linear> to_out;  ///< one entry
  int64_t heads;
};
TORCH_MODULE(CrossAttention);

/// positive, negative: [B,L,C], attention results before the output projection. Returns the same
/// shape.
Tensor nag_combine(const Tensor& positive, const Tensor& negative, const NagGuidance& nag);

/// The rows of all contexts below each other; shorter ones are repeated to the length of the
/// longest, which leaves their attention as it is, and cut at the front. Each [B,L,C]. Returns [sum
/// of B,greatest L,C].
Tensor cat_contexts(const std::vector<Tensor>& contexts);

}  // namespace fourstep
