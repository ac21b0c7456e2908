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
  double embedding_std = 0.02;  ///< of 2-D weights whose name has "embedding" (CLIP's number)
  /// Layers that start at zero, by the last part of their name: the last ones of residual branches, so that
  /// a new network begins as an identity. Source: `zero_module` of the latent-diffusion reference code.
  std::vector<std::string> zeroed = {};
};

/// Gives each parameter new fp32 memory: weights and biases uniform in +-1/sqrt(fan in) (torch's default
/// layers), norms 1 and 0. Each number depends on the seed and the parameter's name alone.
void initialize(torch::nn::Module& module, const Initialization& options);

}  // namespace fourstep
