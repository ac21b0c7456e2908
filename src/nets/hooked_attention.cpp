#include "nets/hooked_attention.h"

#include <cmath>

#include "base/gaussian_blur.h"
#include "nets/transformer.h"

namespace fourstep {

namespace {

/// Queries blurred over the map they belong to. Source: Hong 2024 (2408.00760), section 3.3.
Tensor blur_tokens(const Tensor& tokens, const TransformerHooks& hooks) {
  const double sigma = hooks.degraded->blur_sigma;
  if (sigma >= kInfiniteBlur) return tokens.mean(1, true).expand_as(tokens);
  const Tensor map = map_from_tokens(tokens, hooks.height, hooks.width);
  const int64_t kernel = static_cast<int64_t>(std::ceil(6 * sigma)) | 1;
  const Tensor wide = map.scalar_type() == torch::kFloat64 ? map : map.to(torch::kFloat32);
  return tokens_from_map(gaussian_blur(wide, kernel, sigma)).to(tokens.scalar_type());
}

/// [B,L,C] -> [B,heads,L,C/heads]
Tensor split_heads(const Tensor& x, int64_t heads) {
  return x.unflatten(-1, {heads, -1}).transpose(1, 2);
}

Tensor attention_probabilities(const Tensor& q, const Tensor& k, int64_t heads) {
  const Tensor scores = at::matmul(split_heads(q, heads), split_heads(k, heads).mT());
  const double width = static_cast<double>(q.size(-1)) / static_cast<double>(heads);
  return scores.to(torch::kFloat32).div_(std::sqrt(width)).softmax(-1);
}

}  // namespace

Tensor hooked_self_attention(CrossAttentionImpl& layer, const Tensor& x,
                             const TransformerHooks& hooks) {
  const bool is_degraded = hooks.degraded != nullptr;
  if (is_degraded && hooks.degraded->kind == Degradation::kIdentityAttention) {
    return layer.to_out->back()(layer.to_v(x));
  }
  Tensor q = layer.to_q(x);
  const Tensor k = layer.to_k(x);
  if (is_degraded && hooks.degraded->kind == Degradation::kBlurredQuery) q = blur_tokens(q, hooks);
  if (hooks.self_attention) {
    *hooks.self_attention = {attention_probabilities(q, k, layer.heads), hooks.height, hooks.width};
  }
  return layer.to_out->back()(attention(q, k, layer.to_v(x), layer.heads));
}

Tensor nag_cross_attention(CrossAttentionImpl& layer, const Tensor& x, const Tensor& context,
                           const NagGuidance& nag) {
  const int64_t samples = x.size(0), guided = context.size(0) - samples, plain = samples - guided;
  const Tensor q = layer.to_q(x), k = layer.to_k(context), v = layer.to_v(context);
  const Tensor own = attention(q, k.narrow(0, 0, samples), v.narrow(0, 0, samples), layer.heads);
  const Tensor negative = attention(q.narrow(0, plain, guided), k.narrow(0, samples, guided),
                                    v.narrow(0, samples, guided), layer.heads);
  const Tensor pushed = nag_combine(own.narrow(0, plain, guided), negative, nag);
  return layer.to_out->back()(plain == 0 ? pushed : at::cat({own.narrow(0, 0, plain), pushed}));
}

}  // namespace fourstep
