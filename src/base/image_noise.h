#pragma once
// The noise of one image as A1111's web UI and Forge make it out of a seed and its variations.
// ComfyUI's is a case of it: kComfyStepSeedDelta.

#include <cstdint>
#include <span>
#include <vector>

#include "base/noise.h"
#include "base/tensor.h"

namespace fourstep {

/// Whose random numbers a seed stands for.
enum class NoiseOrigin {
  kTorch,   ///< torch's CPU generator: make_torch_noise
  kPhilox,  ///< A1111's and Forge's GPU and "NV": make_philox_noise
};

NoiseSource make_noise(NoiseOrigin origin, uint64_t seed);

/// What makes the noise of one image. The defaults stand for the plain seed.
struct ImageSeed {
  uint64_t seed = 0;
  uint64_t variation_seed = 0;
  double variation_strength = 0;  ///< 0: the seed's noise; 1: the variation seed's
  /// A1111's "eta noise seed delta": not 0 restarts the stream at seed + ensd after the first draw.
  int64_t ensd = 0;
  /// px; both not 0: the middle shows the picture that the seed gave at this size.
  int64_t resize_from_width = 0, resize_from_height = 0;
  NoiseOrigin origin = NoiseOrigin::kTorch;
};

/// ImageSeed::ensd of ComfyUI on a CPU: it draws the steps' noise from a generator of its own,
/// seeded with the seed + 1 (up to 2025 with the seed itself). Source: `default_noise_sampler` of
/// ComfyUI.
constexpr int64_t kComfyStepSeedDelta = 1;

/// The image's stream: the first call gives the initial noise, later calls the noise of the steps.
/// Shapes: [1,C,h,w] with h = height / 8 when the seed has variations or a size to resize from; any
/// otherwise.
/// Throws InvalidRequest for a strength outside 0..1 and for a size to resize from outside 8..16384
/// px.
/// Source: `ImageRNG` of A1111 and Forge.
NoiseSource make_image_noise(const ImageSeed& seed);

/// One stream per image (see make_batch_noise): image i equals the single run with seeds[i].
NoiseSource make_image_noise(std::span<const ImageSeed> seeds);

/// The seeds of a batch: seed + i, or the same seed with variation seed + i when there is a
/// variation strength. Source: A1111's `process_images`.
std::vector<ImageSeed> batch_seeds(const ImageSeed& first, int64_t count);

/// Moves from `low` (weight 0) to `high` (weight 1) along the arc between their columns. low, high:
/// [...,h,w], the columns being taken along h; where they are all but parallel the mix is linear,
/// with the weights the wrong way round, as there. Source: `slerp` of A1111 and Forge.
Tensor slerp(double weight, const Tensor& low, const Tensor& high);

}  // namespace fourstep
