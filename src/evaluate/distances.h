#pragma once
// How far apart pictures are: two sets of them as Fréchet distance of the Gaussians through their
// features, and those of one prompt from each other, which a model that collapses loses.

#include "base/tensor.h"

namespace fourstep {

struct Gaussian {
  Tensor mean;  ///< [d] fp64
  /// [r,d] fp64: the covariance (of n - 1 degrees of freedom, as numpy.cov) is root^T root. Fewer
  /// rows than numbers need no [d,d] matrix: latents of SDXL have 65536 numbers.
  Tensor root;
};

/// The Gaussian through numbers that come in batches, in double precision; independent of how they
/// are divided. Keeps the rows while there are fewer of them than numbers in each, then their sums
/// of products alone.
/// Source: the pairwise update of Chan, Golub and LeVeque 1983, "Algorithms for computing the
/// sample variance".
class GaussianFit {
 public:
  /// rows: [n,d], any floating dtype and device. Throws Error for another d than before.
  void add(const Tensor& rows);

  int64_t count() const { return count_; }
  int64_t width() const { return count_ == 0 ? 0 : mean_.size(0); }

  /// Throws Error for fewer than two rows.
  Gaussian gaussian() const;

 private:
  void add_products(const Tensor& rows);

  int64_t count_ = 0;
  Tensor mean_;               ///< [d]
  std::vector<Tensor> rows_;  ///< all of them, until there are as many as numbers in one
  int64_t summed_ = 0;        ///< rows in scatter_
  Tensor scatter_;            ///< [d,d]: sum of (x - mean)(x - mean)^T
};

/// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): a squared distance, never negative. With C = R^T R
/// the trace of the root is the sum of the singular values of R1 R2^T. Fewer rows than numbers do
/// no harm to it, but raise the distance of all
/// sets of pictures: compare only distances of equally many.
/// Throws Error when the widths differ or the numbers are not finite.
/// Source: Heusel et al. 2017 (1706.08500), eq. 6.
double frechet_distance(const Gaussian& a, const Gaussian& b);

/// Mean Euclidean distance of all pairs of rows. rows: [n,d]. Throws Error for fewer than two rows.
double mean_pairwise_distance(const Tensor& rows);

/// The mean of mean_pairwise_distance() over prompts. features: [prompts*per_prompt,d], the
/// pictures of a prompt one after another. Throws Error when the rows do not divide into whole
/// prompts.
double diversity_of(const Tensor& features, int64_t per_prompt);

}  // namespace fourstep
