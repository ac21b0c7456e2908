#include "nets/attention.h"

#include <algorithm>
#include <cmath>

#include "base/frequency_filter.h"
#include "nets/transformer.h"

namespace fourstep {

namespace {

/// Queries blurred over the map they belong to. Source: Hong 2024 (2408.00760), section 3.3.
Tensor blur_tokens(const Tensor& tokens, const AttentionCall& call) {
  const double sigma = call.degraded->blur_sigma;
  if (sigma >= kInfiniteBlur) return tokens.mean(1, true).expand_as(tokens);
  const Tensor map = map_from_tokens(tokens, call.height, call.width);
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

/// [B,L,C] -> [B,L,1], summed in fp32 at least: a half's sum over 1280 channels would be too
/// coarse.
Tensor norm_over_channels(const Tensor& z) {
  constexpr double kLeastNorm = 1e-6;
  const auto dtype = z.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return z.abs().sum(at::IntArrayRef{-1}, true, dtype).clamp_min(kLeastNorm);
}

Tensor repeated_to(const Tensor& context, int64_t length) {
  const int64_t own = context.size(1);
  if (own == length) return context;
  const int64_t times = (length + own - 1) / own;
  return context.repeat({1, times, 1}).narrow(1, times * own - length, length);
}

Tensor last_rows(const Tensor& rows, int64_t count) {
  return rows.narrow(0, rows.size(0) - count, count);
}

/// `change` added to the last samples of z, the others as they are.
Tensor with_last_rows_changed(const Tensor& z, const Tensor& change) {
  const int64_t others = z.size(0) - change.size(0);
  if (others == 0) return z + change;
  return at::cat({z.narrow(0, 0, others), last_rows(z, change.size(0)) + change});
}

/// Queries, and keys and values of the prompt and of NAG's terms below each other.
struct Projected {
  Tensor q, k, v;
};

/// What all terms make of the attention to the prompt. Each starts from that, so their order says
/// nothing.
class TermSum {
 public:
  TermSum(CrossAttentionImpl& layer, const Projected& all, const Branches* branches)
      : layer_(layer),
        all_(all),
        branches_(branches),
        num_samples_(all.q.size(0)),
        next_row_(num_samples_),
        own_(attend(all.q, rows(0, num_samples_))),
        sum_(own_) {}

  void add(const AttentionTerm& term, const NagGuidance& nag) {
    const int64_t guided = term.context.size(0), plain = num_samples_ - guided;
    const Tensor positive = last_rows(own_, guided);
    const Tensor negative = attend(last_rows(all_.q, guided), rows(next_row_, guided));
    next_row_ += guided;
    const Tensor pushed = nag_combine(positive, negative, nag);
    if (!sum_.is_same(own_)) {
      sum_ = with_last_rows_changed(sum_, pushed - positive);
    } else {
      sum_ = plain == 0 ? pushed : at::cat({own_.narrow(0, 0, plain), pushed});
    }
  }

  void add(const AttentionTerm& term, const AddedContext& added) {
    const Tensor q = last_rows(all_.q, term.context.size(0));
    const Tensor context = term.context.to(q.options());
    if (!added.projections) {
      const Projected own{q, layer_.to_k(context, branches_), layer_.to_v(context, branches_)};
      sum_ = with_last_rows_changed(sum_, attend(q, own) * added.weight);
      return;
    }
    const auto found = added.projections->find(&layer_);
    if (found == added.projections->end()) return;
    const auto project = [&](const Tensor& weight) {
      return linear_product(context, weight.to(q.options()));
    };
    const Projected own{q, project(found->second.to_k), project(found->second.to_v)};
    sum_ = with_last_rows_changed(sum_, attend(q, own) * added.weight);
  }

  Tensor sum() const { return sum_; }

 private:
  Projected rows(int64_t first, int64_t count) const {
    return {{}, all_.k.narrow(0, first, count), all_.v.narrow(0, first, count)};
  }
  Tensor attend(const Tensor& q, const Projected& to) const {
    return attention(q, to.k, to.v, layer_.heads);
  }

  CrossAttentionImpl& layer_;
  const Projected& all_;
  const Branches* branches_;
  int64_t num_samples_, next_row_;  ///< next_row_: the next NAG term's first
  Tensor own_, sum_;
};

/// NAG's terms first, then what is added: so the sum does not depend on the order of the list by
/// rounding either.
Tensor attention_with_terms(CrossAttentionImpl& layer, const Projected& all,
                            const AttentionCall& call) {
  TermSum sum(layer, all, call.branches);
  for (const AttentionTerm& term : call.terms) {
    if (const auto* nag = std::get_if<NagGuidance>(&term.entry)) sum.add(term, *nag);
  }
  for (const AttentionTerm& term : call.terms) {
    if (const auto* added = std::get_if<AddedContext>(&term.entry)) sum.add(term, *added);
  }
  return sum.sum();
}

}  // namespace

CrossAttentionImpl::CrossAttentionImpl(int64_t channels, int64_t context_width, int64_t heads)
    : heads(heads) {
  to_q = register_module("to_q", Linear(channels, channels, /*with_bias=*/false));
  to_k = register_module("to_k", Linear(context_width, channels, /*with_bias=*/false));
  to_v = register_module("to_v", Linear(context_width, channels, /*with_bias=*/false));
  to_out = register_module("to_out", make_module_list<Linear>());
  to_out->push_back(Linear(channels, channels));
}

Tensor CrossAttentionImpl::forward(const Tensor& x, const Tensor& context,
                                   const AttentionCall& call) {
  const Tensor v = to_v(context, call.branches);
  const auto is = [&](Degradation kind) { return call.degraded && call.degraded->kind == kind; };
  if (is(Degradation::kIdentityAttention)) return to_out->back()(v, call.branches);
  const Tensor k = to_k(context, call.branches);
  Tensor q = to_q(x, call.branches);
  if (is(Degradation::kBlurredQuery)) q = blur_tokens(q, call);
  if (call.map) *call.map = {attention_probabilities(q, k, heads), call.height, call.width};
  const Tensor z =
      call.terms.empty() ? attention(q, k, v, heads) : attention_with_terms(*this, {q, k, v}, call);
  return to_out->back()(z, call.branches);
}

Tensor nag_combine(const Tensor& positive, const Tensor& negative, const NagGuidance& nag) {
  const Tensor pushed = at::lerp(negative, positive, nag.scale);
  const Tensor limit = norm_over_channels(positive) * nag.tau / norm_over_channels(pushed);
  const Tensor factor = (limit.clamp_max(1) * nag.alpha).to(positive.scalar_type());
  return at::addcmul(positive * (1 - nag.alpha), pushed, factor);
}

Tensor cat_contexts(const std::vector<Tensor>& contexts) {
  int64_t length = 0;
  for (const Tensor& context : contexts) length = std::max(length, context.size(1));
  std::vector<Tensor> repeated;
  for (const Tensor& context : contexts) repeated.push_back(repeated_to(context, length));
  return at::cat(repeated);
}

}  // namespace fourstep
