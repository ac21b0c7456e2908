#pragma once
// From the tensors of one module of a LoRA file to what they mean.

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "lora/lora_file.h"
#include "lora/lora_suffix.h"

namespace fourstep {

/// The tensors of one module; undefined where the file has none.
struct LoraParts {
  std::array<Tensor, kNumLoraRoles> tensors;
  Tensor& operator[](LoraRole role) { return tensors[static_cast<size_t>(role)]; }
  const Tensor& operator[](LoraRole role) const { return tensors[static_cast<size_t>(role)]; }
};

/// Whether the tensors show that the file is a LoRA: all but names that other files have, too.
bool is_telling(LoraRole role);

/// What the tensors add to a weight, alpha, scale and magnitudes included; nothing when none of them is of a weight.
/// where: file and module, for messages. Throws Error when a tensor is missing or has a shape that does not fit.
std::optional<LoraModule> weight_module(const LoraParts& parts, const std::string& where);

/// What they add to the bias; nothing when none of them is of a bias. weight: of the same module, for PEFT's lora_bias.
/// Throws Error when the file has two of them.
std::optional<LoraModule> bias_module(const LoraParts& parts,
                                      const std::optional<LoraModule>& weight,
                                      const std::string& where);

/// True when factors of rank 0 make the module add nothing.
bool is_empty_module(const LoraModule& module);

}  // namespace fourstep
