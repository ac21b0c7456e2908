#include "nets/transformer.h"

#include "layers/recompute.h"
#include "nets/blocks.h"

namespace fourstep {

namespace {

/// With an attention map the second run would write it again. Contexts of terms that are not leaves
/// would get their gradients from each block's own second run, which goes through what made them:
/// that can be done once only.
bool is_recomputed(const BlockCall& call, const AttentionCall& self) {
  const auto& terms = call.extras->attention_terms;
  return call.extras->checkpointing && !self.map &&
         std::none_of(terms.begin(), terms.end(),
                      [](const AttentionTerm& term) { return term.context.requires_grad(); });
}

Tensor run_block(TransformerBlock block, const Tensor& tokens, const BlockCall& call,
                 const AttentionCall& self) {
  if (!is_recomputed(call, self)) return block(tokens, call, self);
  const auto run = [block, self, extras = call.extras](const std::vector<Tensor>& inputs) mutable {
    return block(inputs[0], BlockCall{.context = inputs[1], .extras = extras}, self);
  };
  return recompute(run, {tokens, call.context});
}

}  // namespace

GegluImpl::GegluImpl(int64_t channels, int64_t width) {
  proj = register_module("proj", Linear(channels, 2 * width));
}

Tensor GegluImpl::forward(const Tensor& x, const Branches* branches) {
  const auto halves = proj(x, branches).chunk(2, -1);
  return at::gelu(halves[1]).mul_(halves[0]);
}

FeedForwardImpl::FeedForwardImpl(int64_t channels) {
  const auto net = register_module("net", std::make_shared<nn::Module>());
  gate = net->register_module("0", Geglu(channels, 4 * channels));
  out = net->register_module("2", Linear(4 * channels, channels));
}

Tensor FeedForwardImpl::forward(const Tensor& x, const Branches* branches) {
  return out(gate(x, branches), branches);
}

TransformerBlockImpl::TransformerBlockImpl(int64_t channels, const TransformerOptions& options) {
  norm1 = register_module("norm1", LayerNorm(channels));
  attn1 = register_module("attn1", CrossAttention(channels, channels, options.heads));
  norm2 = register_module("norm2", LayerNorm(channels));
  attn2 = register_module("attn2", CrossAttention(channels, options.cross_width, options.heads));
  norm3 = register_module("norm3", LayerNorm(channels));
  ff = register_module("ff", FeedForward(channels));
}

// Each sum is made in place on the fresh output of a linear layer, which autograd does not need.
Tensor TransformerBlockImpl::forward(Tensor x, const BlockCall& call, AttentionCall self) {
  const Branches* branches = self.branches = call.branches();
  const AttentionCall to_text{.branches = branches, .terms = call.extras->attention_terms};
  const Tensor normed = norm1(x);
  x = attn1(normed, normed, self).add_(x);
  x = attn2(norm2(x), call.context, to_text).add_(x);
  return ff(norm3(x), branches).add_(x);
}

TokenProjectionImpl::TokenProjectionImpl(int64_t channels, bool is_linear) {
  const Shape shape = is_linear ? Shape{channels, channels} : Shape{channels, channels, 1, 1};
  weight = register_parameter("weight", placeholder(shape), /*requires_grad=*/false);
  bias = register_parameter("bias", placeholder({channels}), /*requires_grad=*/false);
}

Tensor TokenProjectionImpl::forward(const Tensor& x, const Branches* branches) {
  return linear_with_branch(x, weight.flatten(1), bias, branch_of(branches, *this));
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

AttentionCall SpatialTransformerImpl::self_attention_call(const Tensor& x,
                                                          const UNetExtras& extras) const {
  AttentionCall self{.height = x.size(2), .width = x.size(3)};
  if (extras.degraded && is_degraded(*extras.degraded, name)) self.degraded = &*extras.degraded;
  if (name == "mid") self.map = extras.middle_attention;
  return self;
}

Tensor SpatialTransformerImpl::forward(const Tensor& x, const BlockCall& call) {
  AttentionCall self = self_attention_call(x, *call.extras);
  if (self.degraded && self.degraded->kind == Degradation::kSkipped) return x;
  Tensor tokens = proj_in(tokens_from_map(norm(x)), call.branches());
  for (auto& block : *transformer_blocks) {
    tokens = run_block(block, tokens, call, self);
    self.map = nullptr;  // the first block's alone
  }
  return map_from_tokens(proj_out(tokens, call.branches()), x.size(2), x.size(3)).add_(x);
}

Tensor weight_of_layer(nn::Module& layer) {
  if (auto* linear = layer.as<LinearImpl>()) return linear->weight;
  if (auto* conv = layer.as<Conv2dImpl>()) return conv->weight;
  if (auto* projection = layer.as<TokenProjectionImpl>()) return projection->weight;
  return {};
}

Tensor tokens_from_map(const Tensor& map) { return map.permute({0, 2, 3, 1}).flatten(1, 2); }

Tensor map_from_tokens(const Tensor& tokens, int64_t height, int64_t width) {
  return tokens.unflatten(1, {height, width}).permute({0, 3, 1, 2});
}

}  // namespace fourstep
