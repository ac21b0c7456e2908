#pragma once
// How far apart two sets of pictures are, as Fréchet distance of the Gaussians through their features.

#include "base/tensor.h"

namespace fourstep {

struct Gaussian {
  Tensor mean;        ///< [d] fp64
  Tensor covariance;  ///< [d,d] fp64, of n - 1 degrees of freedom (as numpy.cov)
};

/// The Gaussian through numbers that come in batches, in double precision; independent of how they are divided.
/// Source: the pairwise update of Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance".
class GaussianFit {
 public:
  /// rows: [n,d], any floating dtype and device. Throws Error for another d than before.
  void add(const Tensor& rows);

  int64_t count() const { return count_; }
  int64_t width() const { return count_ == 0 ? 0 : mean_.size(0); }

  /// Throws Error for fewer than two rows.
  Gaussian gaussian() const;

 private:
  int64_t count_ = 0;
  Tensor mean_;     ///< [d]
  Tensor scatter_;  ///< [d,d]: sum of (x - mean)(x - mean)^T
};

/// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): a squared distance, never negative. The trace of the root is the sum
/// of the roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric; fewer rows than numbers do no harm to
/// it, but raise the distance of all sets of pictures: compare only distances of equally many.
/// Throws Error when the sizes differ, or a number is NaN or infinite.
/// Source: Heusel et al. 2017 (1706.08500), eq. 6.
double frechet_distance(const Gaussian& a, const Gaussian& b);

}  // namespace fourstep
