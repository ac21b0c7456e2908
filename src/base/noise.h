#pragma once
// Standard normal noise that equals what other programs draw from the same seed. A NoiseSource is one
// stream: each call continues it.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// Draws noise of the given shape, fp32 on the CPU, and moves the stream on.
using NoiseSource = std::function<Tensor(const Shape& shape)>;

/// torch's CPU generator: the noise of ComfyUI and of diffusers with a CPU generator. Only the low 32 bits
/// of the seed count, as there.
NoiseSource make_torch_noise(uint64_t seed);

/// Philox 4x32-10 in the order in which CUDA's randn uses it: A1111's and Forge's GPU and "NV" seeds.
/// Source: shared specification sampling.md E4; Salmon et al. 2011, "Parallel random numbers".
NoiseSource make_philox_noise(uint64_t seed);

/// One stream per image of a batch: a call for [B,...] stacks one [1,...] draw of each source, so image i
/// equals the single run with that source. Throws Error when B differs from the number of sources.
NoiseSource make_batch_noise(std::vector<NoiseSource> sources);

}  // namespace fourstep
