#include "nets/transformer.h"

#include "layers/linear.h"
#include "nets/branches.h"
#include "nets/hooked_attention.h"
#include "nets/resblock.h"

namespace fourstep {

CrossAttentionImpl::CrossAttentionImpl(int64_t channels, int64_t context_width, int64_t heads)
    : heads(heads) {
  to_q = register_module("to_q", Linear(channels, channels, /*with_bias=*/false));
  to_k = register_module("to_k", Linear(context_width, channels, /*with_bias=*/false));
  to_v = register_module("to_v", Linear(context_width, channels, /*with_bias=*/false));
  to_out = register_module("to_out", make_module_list<Linear>());
  to_out->push_back(Linear(channels, channels));
}

Tensor CrossAttentionImpl::forward(const Tensor& x, const Tensor& context) {
  return to_out->back()(attention(to_q(x), to_k(context), to_v(context), heads));
}

GegluImpl::GegluImpl(int64_t channels, int64_t width) {
  proj = register_module("proj", Linear(channels, 2 * width));
}

Tensor GegluImpl::forward(const Tensor& x) {
  const auto halves = proj(x).chunk(2, -1);
  return at::gelu(halves[1]).mul_(halves[0]);
}

FeedForwardImpl::FeedForwardImpl(int64_t channels) {
  const auto net = register_module("net", std::make_shared<nn::Module>());
  gate = net->register_module("0", Geglu(channels, 4 * channels));
  out = net->register_module("2", Linear(4 * channels, channels));
}

Tensor FeedForwardImpl::forward(const Tensor& x) { return out(gate(x)); }

TransformerBlockImpl::TransformerBlockImpl(int64_t channels, const TransformerOptions& options) {
  norm1 = register_module("norm1", LayerNorm(channels));
  attn1 = register_module("attn1", CrossAttention(channels, channels, options.heads));
  norm2 = register_module("norm2", LayerNorm(channels));
  attn2 = register_module("attn2", CrossAttention(channels, options.cross_width, options.heads));
  norm3 = register_module("norm3", LayerNorm(channels));
  ff = register_module("ff", FeedForward(channels));
}

// Each sum is made in place on the fresh output of a linear layer, which autograd does not need.
Tensor TransformerBlockImpl::forward(Tensor x, const Tensor& context) {
  const Tensor normed = norm1(x);
  x = attn1(normed, normed).add_(x);
  x = attn2(norm2(x), context).add_(x);
  return ff(norm3(x)).add_(x);
}

Tensor TransformerBlockImpl::forward_hooked(Tensor x, const Tensor& context,
                                            const TransformerHooks& hooks) {
  x = hooked_self_attention(*attn1, norm1(x), hooks).add_(x);
  const Tensor normed = norm2(x);
  x = (hooks.nag ? nag_cross_attention(*attn2, normed, context, *hooks.nag)
                 : attn2(normed, context))
          .add_(x);
  return ff(norm3(x)).add_(x);
}

TokenProjectionImpl::TokenProjectionImpl(int64_t channels, bool is_linear) {
  const Shape shape = is_linear ? Shape{channels, channels} : Shape{channels, channels, 1, 1};
  weight = register_parameter("weight", placeholder(shape), /*requires_grad=*/false);
  bias = register_parameter("bias", placeholder({channels}), /*requires_grad=*/false);
}

Tensor TokenProjectionImpl::forward(const Tensor& x) {
  return linear_with_branch(x, weight.flatten(1), bias, branch);
}

SpatialTransformerImpl::SpatialTransformerImpl(int64_t channels, int64_t depth,
                                               const TransformerOptions& options) {
  norm = register_module("norm", GroupNorm(kNormGroups, channels, 1e-6));
  proj_in = register_module("proj_in", TokenProjection(channels, options.has_linear_projection));
  transformer_blocks = register_module("transformer_blocks", make_module_list<TransformerBlock>());
  for (int64_t i = 0; i < depth; ++i) {
    transformer_blocks->push_back(TransformerBlock(channels, options));
  }
  proj_out = register_module("proj_out", TokenProjection(channels, options.has_linear_projection));
}

Tensor SpatialTransformerImpl::forward(const Tensor& x, const Tensor& context, bool is_recomputed) {
  Tensor tokens = proj_in(tokens_from_map(norm(x)));
  for (auto& block : *transformer_blocks) {
    tokens = is_recomputed ? recompute_module(block, tokens, context) : block(tokens, context);
  }
  return map_from_tokens(proj_out(tokens), x.size(2), x.size(3)).add_(x);
}

Tensor SpatialTransformerImpl::forward_hooked(const Tensor& x, const Tensor& context,
                                              TransformerHooks hooks) {
  if (hooks.degraded && hooks.degraded->kind == Degradation::kSkipped) return x;
  Tensor tokens = proj_in(tokens_from_map(norm(x)));
  for (auto& block : *transformer_blocks) {
    tokens = block->forward_hooked(tokens, context, hooks);
    hooks.self_attention = nullptr;  // the first block's alone
  }
  return map_from_tokens(proj_out(tokens), x.size(2), x.size(3)).add_(x);
}

Tensor tokens_from_map(const Tensor& map) { return map.permute({0, 2, 3, 1}).flatten(1, 2); }

Tensor map_from_tokens(const Tensor& tokens, int64_t height, int64_t width) {
  return tokens.unflatten(1, {height, width}).permute({0, 3, 1, 2});
}

}  // namespace fourstep
