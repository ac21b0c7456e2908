#pragma once
// Standard normal noise that equals what other programs draw from the same seed. A NoiseSource is one
// stream: each call continues it.

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// Draws noise of the given shape, fp32 on the CPU, and moves the stream on. Copies share the stream.
using NoiseSource = std::function<Tensor(const Shape& shape)>;

/// torch's CPU generator: the noise of ComfyUI and of diffusers with a CPU generator. Only the low 32 bits
/// of the seed count, as there.
NoiseSource make_torch_noise(uint64_t seed);

/// Philox 4x32-10 in the order in which CUDA's randn uses it: A1111's and Forge's GPU and "NV" seeds.
/// Equal to the "NV" source of A1111 and Forge (their rng_philox.py), and to CUDA within 1e-6 as long as the
/// tensor has no more elements than the GPU launches threads.
NoiseSource make_philox_noise(uint64_t seed);

/// The four random words behind element `element` of the stream's draw number `draw` (from 0).
/// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox 4x32 with ten rounds.
std::array<uint32_t, 4> philox_words(uint64_t seed, uint32_t draw, uint32_t element);

/// One stream per image of a batch: a call for [B,...] stacks one [1,...] draw of each source, so image i
/// equals the single run with that source. Throws Error when B differs from the number of sources.
NoiseSource make_batch_noise(std::vector<NoiseSource> sources);

}  // namespace fourstep
