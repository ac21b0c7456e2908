#pragma once
// The one contract between samplers, guidance and networks: an estimate of the clean latent.

#include <functional>

#include "base/tensor.h"

namespace fourstep {

/// Estimates x0 from x = x0 + sigma * noise. x: [B,4,h,w] fp32 (tests: fp64); sigma: [B], fp32 or
/// fp64, on any device: samplers pass fp64 on the CPU, so that no step waits for a GPU. Returns as
/// x.
using Denoiser = std::function<Tensor(const Tensor& x, const Tensor& sigma)>;

}  // namespace fourstep
