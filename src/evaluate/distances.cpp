#include "evaluate/distances.h"

#include "base/error.h"

namespace fourstep {

namespace {

/// The symmetric square root of a positive semidefinite matrix; eigenvalues that rounding made
/// negative count as 0.
Tensor matrix_root(const Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  return at::matmul(vectors * values.clamp_min(0).sqrt(), vectors.t());
}

void check_finite(const Tensor& numbers) {
  if (at::isfinite(numbers).all().item<bool>()) return;
  throw Error(std::string(
      "frechet_distance: the features hold NaN or infinite numbers; is a picture broken?"));
}

}  // namespace

void GaussianFit::add_products(const Tensor& rows) {
  const Tensor mean = rows.mean(0), centered = rows - mean;
  const Tensor scatter = at::matmul(centered.t(), centered);
  const int64_t added = rows.size(0), total = summed_ + added;
  if (summed_ == 0) {
    mean_ = mean;
    scatter_ = scatter;
  } else {
    const Tensor delta = mean - mean_;
    const double share = static_cast<double>(added) / static_cast<double>(total);
    mean_ = mean_ + delta * share;
    scatter_ =
        scatter_ + scatter + at::outer(delta, delta) * (share * static_cast<double>(summed_));
  }
  summed_ = total;
}

void GaussianFit::add(const Tensor& rows) {
  check_shape(rows, {-1, count_ == 0 ? -1 : width()}, "GaussianFit: rows");
  if (rows.size(0) == 0) return;
  const Tensor x = rows.to(torch::kCPU, torch::kFloat64);
  if (count_ == 0) mean_ = at::empty({x.size(1)}, x.options());
  count_ += x.size(0);
  if (summed_ > 0) return add_products(x);
  rows_.push_back(x);
  if (count_ < width()) return;
  for (const Tensor& part : rows_) add_products(part);
  rows_.clear();
}

Gaussian GaussianFit::gaussian() const {
  if (count_ < 2) throw Error("GaussianFit: {} pictures have no covariance; at least 2", count_);
  const auto freedom = static_cast<double>(count_ - 1);
  if (summed_ > 0) {
    check_finite(scatter_);  // no eigenvalues else
    return {mean_, matrix_root(scatter_ / freedom)};
  }
  const Tensor rows = at::cat(rows_), mean = rows.mean(0);
  return {mean, (rows - mean) / std::sqrt(freedom)};
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  check_shape(b.mean, shape_of(a.mean), "frechet_distance: mean");
  check_shape(b.root, {-1, a.root.size(1)}, "frechet_distance: root of the covariance");
  for (const Tensor& numbers : {a.mean, a.root, b.mean, b.root}) check_finite(numbers);
  const Tensor roots = at::linalg_svdvals(at::matmul(a.root, b.root.t()));
  const Tensor distance = (a.mean - b.mean).square().sum() + a.root.square().sum() +
                          b.root.square().sum() - 2 * roots.sum();
  return std::max(0.0, distance.item<double>());
}

double mean_pairwise_distance(const Tensor& rows) {
  check_shape(rows, {-1, -1}, "mean_pairwise_distance: rows");
  const int64_t count = rows.size(0);
  if (count < 2) throw Error("mean_pairwise_distance: {} rows have no pair; at least 2", count);
  return at::pdist(rows.to(torch::kCPU, torch::kFloat64).contiguous()).mean().item<double>();
}

double diversity_of(const Tensor& features, int64_t per_prompt) {
  if (per_prompt < 1 || features.size(0) == 0 || features.size(0) % per_prompt != 0) {
    throw Error("diversity_of: {} pictures are not whole prompts of {}", features.size(0),
                per_prompt);
  }
  double sum = 0;
  const int64_t num_prompts = features.size(0) / per_prompt;
  for (int64_t i = 0; i < num_prompts; ++i) {
    sum += mean_pairwise_distance(features.narrow(0, i * per_prompt, per_prompt));
  }
  return sum / static_cast<double>(num_prompts);
}

}  // namespace fourstep
