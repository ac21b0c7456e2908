#include "evaluate/frechet.h"

#include "base/error.h"

namespace fourstep {

namespace {

/// Eigenvalues that rounding made negative count as 0.
Tensor root_of_eigenvalues(const Tensor& values) { return values.clamp_min(0).sqrt(); }

/// The symmetric square root of a positive semidefinite matrix.
Tensor matrix_root(const Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  return at::matmul(vectors * root_of_eigenvalues(values), vectors.t());
}

void check_finite(const Gaussian& gaussian) {
  if (at::isfinite(gaussian.mean).all().item<bool>() &&
      at::isfinite(gaussian.covariance).all().item<bool>()) {
    return;
  }
  throw Error(std::string(
      "frechet_distance: the features hold NaN or infinite numbers; is a picture broken?"));
}

}  // namespace

void GaussianFit::add(const Tensor& rows) {
  check_shape(rows, {-1, count_ == 0 ? -1 : width()}, "GaussianFit: rows");
  if (rows.size(0) == 0) return;
  const Tensor x = rows.to(torch::kCPU, torch::kFloat64);
  const Tensor mean = x.mean(0), centered = x - mean;
  const Tensor scatter = at::matmul(centered.t(), centered);
  const int64_t added = x.size(0), total = count_ + added;
  if (count_ == 0) {
    mean_ = mean;
    scatter_ = scatter;
  } else {
    const Tensor delta = mean - mean_;
    const double share = static_cast<double>(added) / static_cast<double>(total);
    mean_ = mean_ + delta * share;
    scatter_ = scatter_ + scatter + at::outer(delta, delta) * (share * static_cast<double>(count_));
  }
  count_ = total;
}

Gaussian GaussianFit::gaussian() const {
  if (count_ < 2) throw Error("GaussianFit: {} pictures have no covariance; at least 2", count_);
  return {mean_, scatter_ / static_cast<double>(count_ - 1)};
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  check_shape(b.mean, shape_of(a.mean), "frechet_distance: mean");
  check_shape(b.covariance, shape_of(a.covariance), "frechet_distance: covariance");
  check_finite(a);
  check_finite(b);
  const Tensor root = matrix_root(a.covariance);
  const Tensor product = at::matmul(at::matmul(root, b.covariance), root);
  const Tensor values = at::linalg_eigvalsh((product + product.t()) / 2);
  const Tensor distance = (a.mean - b.mean).square().sum() + a.covariance.trace() +
                          b.covariance.trace() - 2 * root_of_eigenvalues(values).sum();
  return std::max(0.0, distance.item<double>());
}

}  // namespace fourstep
