#pragma once
// Noise of SDE samplers that belongs to places on the noise axis instead of an order of drawing: the path
// from sigma_max down to sigma_min is one Brownian motion per seed, so the same seed gives related images
// with other numbers of steps, and a step equals the sum of its halves.

#include <cstdint>
#include <functional>
#include <span>

#include "base/noise.h"
#include "base/tensor.h"

namespace fourstep {

/// One Brownian path. ComfyUI has one per batch, over the range of the noise levels in use; A1111 one per
/// image, over the range of the full schedule even when an image is only partly repainted.
struct BrownianPath {
  uint64_t seed = 0;
  double sigma_min = 0;  ///< the lowest noise level above 0
  double sigma_max = 0;
  /// Noise of a 32-bit seed: make_philox_noise for A1111's "NV" seeds.
  std::function<NoiseSource(uint64_t seed)> make_noise = make_torch_noise;
};

/// The path's noise for a step from sigma down to sigma_next: standard normal, fp32 on the CPU, the same
/// whenever and in whatever order it is asked. Levels are clipped to the path's range and rounded to 1e-6.
/// Costs up to about 25 draws of `shape` at each end.
/// Throws Error unless sigma > sigma_next and sigma_max > sigma_min, all finite.
/// Source: the tree of torchsde's `BrownianTree` as k-diffusion's `BrownianTreeNoiseSampler` uses it (Li et
/// al. 2020, 2001.01328).
Tensor brownian_noise(const BrownianPath& path, const Shape& shape, double sigma,
                      double sigma_next);

/// One path per image: image i of [B,...] equals the single run with its path.
/// Throws Error when B differs from the number of paths.
Tensor brownian_noise(std::span<const BrownianPath> paths, const Shape& shape, double sigma,
                      double sigma_next);

}  // namespace fourstep
