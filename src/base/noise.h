#pragma once
// Standard normal noise that equals what other programs draw from the same seed. A NoiseSource is
// one
// stream: each call continues it.

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

// numpy's SeedSequence: well mixed 32-bit seeds out of one number, and independent ones for the
// nodes of a tree. Brownian noise takes its seeds from here, as torchsde does.

struct SeedSequence {
  uint64_t entropy = 0;
  std::vector<uint64_t> spawn_key = {};  ///< where in the tree of sequences; empty: the root
  size_t pool_size = 4;                  ///< words of inner state, at least 4; torchsde uses 24
};

/// The first `count` words of numpy.random.SeedSequence(entropy, spawn_key,
/// pool_size).generate_state().
/// Throws Error for a pool of fewer than 4 words. Source: numpy's documented `SeedSequence`, after
/// O'Neill 2015, "Developing a seed_seq alternative".
std::vector<uint32_t> seed_words(const SeedSequence& sequence, size_t count);

/// Draws noise of the given shape, fp32 on the CPU, and moves the stream on. Copies share the
/// stream.
using NoiseSource = std::function<Tensor(const Shape& shape)>;

/// torch's CPU generator: the noise of ComfyUI and of diffusers with a CPU generator. Only the low
/// 32 bits of the seed count, as there.
NoiseSource make_torch_noise(uint64_t seed);

/// Philox 4x32-10 in the order in which CUDA's randn uses it: A1111's and Forge's GPU and "NV"
/// seeds. Equal to the "NV" source of A1111 and Forge (their rng_philox.py), and to CUDA within
/// 1e-6 as long as the tensor has no more elements than the GPU launches threads.
NoiseSource make_philox_noise(uint64_t seed);

/// The four random words behind element `element` of the stream's draw number `draw` (from 0).
/// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox 4x32 with ten
/// rounds.
std::array<uint32_t, 4> philox_words(uint64_t seed, uint32_t draw, uint32_t element);

/// One stream per image of a batch: a call for [B,...] stacks one [1,...] draw of each source, so
/// image i equals the single run with that source. Throws Error when B differs from the number of
/// sources.
NoiseSource make_batch_noise(std::vector<NoiseSource> sources);

// Noise of SDE samplers that belongs to places on the noise axis instead of an order of drawing:
// the path from sigma_max down to sigma_min is one Brownian motion per seed, so the same seed gives
// related images with other numbers of steps, and a step equals the sum of its halves.

/// One Brownian path. ComfyUI has one per batch, over the range of the noise levels in use; A1111
/// one per image, over the range of the full schedule even when an image is only partly repainted.
struct BrownianPath {
  uint64_t seed = 0;
  double sigma_min = 0;  ///< the lowest noise level above 0
  double sigma_max = 0;
  /// Noise of a 32-bit seed: make_philox_noise for A1111's "NV" seeds.
  std::function<NoiseSource(uint64_t seed)> make_noise = make_torch_noise;
};

/// The path's noise for a step from sigma down to sigma_next: standard normal, fp32 on the CPU, the
/// same whenever and in whatever order it is asked. Levels are clipped to the path's range and
/// rounded to 1e-6. Costs up to about 25 draws of `shape` at each end.
/// Throws Error unless sigma > sigma_next and sigma_max > sigma_min, all finite.
/// Source: the tree of torchsde's `BrownianTree` as k-diffusion's `BrownianTreeNoiseSampler` uses
/// it (Li et al. 2020, 2001.01328).
Tensor brownian_noise(const BrownianPath& path, const Shape& shape, double sigma,
                      double sigma_next);

/// One path per image: image i of [B,...] equals the single run with its path.
/// Throws Error when B differs from the number of paths.
Tensor brownian_noise(std::span<const BrownianPath> paths, const Shape& shape, double sigma,
                      double sigma_next);

}  // namespace fourstep
