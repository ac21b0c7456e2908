#include "text/token_weights.h"

namespace fourstep {
namespace {

/// (mean before) / (mean after); 1 where the mean after is 0, so that no state becomes infinite.
Tensor mean_ratio(const Tensor& before, const Tensor& after) {
  const Tensor mean = after.mean();
  return at::where(mean == 0, at::ones_like(mean), before.mean() / mean);
}

}  // namespace

Tensor weigh_tokens(const Tensor& z, const Tensor& weights, EmphasisRule rule,
                    const Tensor& empty) {
  if (rule == EmphasisRule::kIgnore || (weights == 1).all().item<bool>()) return z;
  const Tensor exact = z.to(at::promote_types(z.scalar_type(), torch::kFloat32));
  const Tensor w = weights.to(exact.options()).unsqueeze(-1);
  if (rule == EmphasisRule::kComfy) {
    const Tensor base = empty.to(exact.options());
    return at::where(w == 1, exact, base + w * (exact - base)).to(z.scalar_type());
  }
  Tensor weighted = exact * w;
  if (rule == EmphasisRule::kOriginal) weighted = weighted * mean_ratio(exact, weighted);
  return weighted.to(z.scalar_type());
}

Tensor weigh_chunks(const Tensor& z, const Tensor& weights, EmphasisRule rule,
                    const Tensor& empty) {
  std::vector<Tensor> chunks;
  for (int64_t i = 0; i < z.size(0); ++i) {
    chunks.push_back(weigh_tokens(z.narrow(0, i, 1), weights.narrow(0, i, 1), rule, empty));
  }
  return at::cat(chunks, 1);
}

}  // namespace fourstep
