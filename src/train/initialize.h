#pragma once
// First weights of networks that are trained from nothing.

#include <torch/nn/module.h>

#include "base/tensor.h"

namespace fourstep {

/// All parameters by name; they share their memory with the module.
NamedTensors parameters_of(torch::nn::Module& module);

struct Initialization {
  uint64_t seed = 0;
  torch::Device device = torch::kCPU;
  /// Of the uniform distribution: 1 is torch's default, whose layers shrink what passes them to 0.58; sqrt(3) keeps
  /// its variance, so that a chain of linear layers (an autoencoder's skips) passes colours on from the start.
  double gain = 1;
  double embedding_std = 0.02;  ///< of 2-D weights whose name has "embedding" (CLIP's number)
  /// Layers that start at zero, by the last part of their name: the last ones of residual branches, so that
  /// a new network begins as an identity. Source: `zero_module` of the latent-diffusion reference code.
  std::vector<std::string> zeroed = {};
};

/// Gives each parameter new fp32 memory: weights and biases uniform in +-gain/sqrt(fan in) (torch's default
/// layers for gain 1), norms 1 and 0. Each number depends on the seed and the parameter's name alone.
void initialize(torch::nn::Module& module, const Initialization& options);

}  // namespace fourstep
