#pragma once
// The random numbers of training. Each draw depends on its key alone, not on what was drawn before:
// a resumed run needs no generator state, and a process that holds part of a batch draws the whole
// and takes its part.

#include <torch/nn/module.h>

#include <cstdint>
#include <string_view>

#include "base/tensor.h"

namespace fourstep {

/// What one draw is for. Streams are named by their purpose ("dm noise"), so that leaving one out
/// (no GAN, another ratio) shifts no other. Source of that rule: the project's notes on DMD2's
/// random numbers.
struct RandomKey {
  uint64_t seed = 0;
  std::string_view stream;
  int64_t iteration = 0;
};

/// A 64-bit hash of the key, well mixed (splitmix64 over FNV-1a of the name).
uint64_t hash_of(const RandomKey& key);

/// Standard normal numbers, fp32 on the CPU.
Tensor draw_normal(const RandomKey& key, const Shape& shape);

/// Whole numbers low <= n < high, int64 [count] on the CPU.
Tensor draw_integers(const RandomKey& key, int64_t low, int64_t high, int64_t count);

/// Numbers in [0,1), fp32 [count] on the CPU.
Tensor draw_uniform(const RandomKey& key, int64_t count);

// First weights of networks that are trained from nothing.

/// All parameters by name; they share their memory with the module.
NamedTensors parameters_of(torch::nn::Module& module);

struct Initialization {
  uint64_t seed = 0;
  torch::Device device = torch::kCPU;
  /// Of the uniform distribution: 1 is torch's default, whose layers shrink what passes them to
  /// 0.58; sqrt(3) keeps its variance, so that a chain of linear layers (an autoencoder's skips)
  /// passes colours on from the start.
  double gain = 1;
  double embedding_std = 0.02;  ///< of 2-D weights whose name has "embedding" (CLIP's number)
  /// Layers that start at zero, by the last part of their name: the last ones of residual branches,
  /// so that a new network begins as an identity. Source: `zero_module` of the latent-diffusion
  /// reference code.
  std::vector<std::string> zeroed = {};
};

/// Gives each parameter new fp32 memory: weights and biases uniform in +-gain/sqrt(fan in) (torch's
/// default layers for gain 1), norms 1 and 0. Each number depends on the seed and the parameter's
/// name alone.
void initialize(torch::nn::Module& module, const Initialization& options);

}  // namespace fourstep
