#pragma once
// LoRAs of known size for the tiny model, and checkpoints that have them merged in.

#include <algorithm>
#include <functional>

#include "io/safetensors.h"
#include "lora/fuse.h"
#include "lora/lora_keys.h"
#include "lora/lora_match.h"
#include "support/golden.h"
#include "support/random_weights.h"
#include "support/tiny_model.h"

namespace fourstep::testing {

inline Tensor random_normal(const Shape& shape, uint64_t seed) {
  auto generator = torch::make_generator<at::CPUGeneratorImpl>(seed);
  return torch::randn(shape, generator, torch::TensorOptions().dtype(torch::kFloat));
}

/// Writes a LoRA (kohya names, rank 4, alpha 2) for the matrices and convolutions of the UNet's
/// blocks whose change at strength 1 has `change` times the norm of each weight.
inline void write_random_lora(const std::filesystem::path& path, double change, uint64_t seed) {
  constexpr int64_t kRank = 4;
  NamedTensors tensors;
  const Checkpoint model = tiny_sdxl();
  for (const auto& [name, weight] : model.components.at(Component::kUnet)) {
    const bool is_block =
        name.find("blocks.") != std::string::npos || name.starts_with("mid_block");
    if (weight.dim() < 2 || !is_block) continue;
    Shape down = shape_of(weight), up{weight.size(0), kRank};
    down[0] = kRank;
    for (size_t i = 2; i < down.size(); ++i) up.push_back(1);
    std::string key = "lora_unet_" + name.substr(0, name.size() - std::string(".weight").size());
    std::replace(key.begin(), key.end(), '.', '_');
    const Tensor a = random_normal(down, ++seed), b = random_normal(up, ++seed);
    const Tensor product = torch::mm(b.flatten(1), a.flatten(1));
    const double size = change * (weight.norm() / product.norm()).item<double>();
    tensors[key + ".lora_down.weight"] = a;
    tensors[key + ".lora_up.weight"] = b * (2 * size);
    tensors[key + ".alpha"] = torch::tensor(2.f);
  }
  write_safetensors(path, tensors);
}

/// Adds random numbers of `share` times each weight's norm to the UNet: a fine-tune without
/// direction.
inline void add_noise(Checkpoint& model, double share, uint64_t seed) {
  for (auto& [name, weight] : model.components.at(Component::kUnet)) {
    const Tensor noise = random_normal(shape_of(weight), ++seed);
    weight = weight + noise * (share * weight.norm() / noise.norm()).item<double>();
  }
}

/// Adds a LoRA to the weights in fp32.
inline void add_lora(Checkpoint& model, const std::filesystem::path& path, double weight) {
  for (const MatchedModule& m : match_lora(open_lora(path), lora_targets_of(model)).matched) {
    Tensor& target = model.components.at(m.component).at(m.parameter);
    target = target + delta(m.module, shape_of(target)) * weight;
  }
}

/// Brings all weights to `dtype`.
inline void store_as(Checkpoint& model, torch::Dtype dtype) {
  for (auto& [component, weights] : model.components) {
    for (auto& [name, weight] : weights) weight = weight.to(dtype);
  }
}

}  // namespace fourstep::testing
