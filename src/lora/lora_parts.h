#pragma once
// From the tensors of one module of a LoRA file to what they mean.

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lora/lora_file.h"

namespace fourstep {

// The ends of a LoRA file's keys: what comes behind the name of the module says what the tensor is.

/// What a tensor is within its module. kDiff is a difference of any weight, kMagnitude PEFT's form
/// of kDora, kUpBias what PEFT's lora_bias adds to the layer's bias (times alpha / rank). kWeight
/// is IA3's vector where kOnInput stands beside it, else a weight that PEFT saved whole
/// (modules_to_save), as kWholeBias is a bias (bias="all", "lora_only").
enum class LoraRole {
  kDown,
  kUp,
  kMid,
  kHadaW1A,
  kHadaW1B,
  kHadaT1,
  kHadaW2A,
  kHadaW2B,
  kHadaT2,
  kLokrW1,
  kLokrW1A,
  kLokrW1B,
  kLokrW2,
  kLokrW2A,
  kLokrW2B,
  kLokrT2,
  kGloraA1,
  kGloraA2,
  kGloraB1,
  kGloraB2,
  kGloraMid,
  kOftBlocks,
  kRescale,
  kOnInput,
  kWeight,
  kWholeBias,
  kSetWeight,
  kDiff,
  kBias,
  kUpBias,
  kDora,
  kMagnitude,
  kAlpha,
  kScale
};
inline constexpr size_t kNumLoraRoles = static_cast<size_t>(LoraRole::kScale) + 1;

/// "lora_unet_conv_in.lora_down.weight" taken apart.
struct LoraKey {
  std::string module;  ///< "lora_unet_conv_in"
  std::string_view
      suffix;  ///< ".lora_down.weight", without an adapter's name (".lora_A.default.weight")
  LoraRole role = LoraRole::kDown;
};

/// Nothing for a key that no LoRA kind explains.
std::optional<LoraKey> split_lora_key(const std::string& key);

/// The tensors of one module; undefined where the file has none.
struct LoraParts {
  std::array<Tensor, kNumLoraRoles> tensors;
  Tensor& operator[](LoraRole role) { return tensors[static_cast<size_t>(role)]; }
  const Tensor& operator[](LoraRole role) const { return tensors[static_cast<size_t>(role)]; }
};

/// Whether the tensors show that the file is a LoRA: all but names that other files have, too.
bool is_telling(LoraRole role);

/// What the tensors add to a weight, alpha, scale and magnitudes included; nothing when none of
/// them is of a weight.
/// where: file and module, for messages. Throws Error when a tensor is missing or has a shape that
/// does not fit.
std::optional<LoraModule> weight_module(const LoraParts& parts, const std::string& where);

/// What they add to the bias; nothing when none of them is of a bias. weight: of the same module,
/// for PEFT's lora_bias.
/// Throws Error when the file has two of them.
std::optional<LoraModule> bias_module(const LoraParts& parts,
                                      const std::optional<LoraModule>& weight,
                                      const std::string& where);

/// True when factors of rank 0 make the module add nothing.
bool is_empty_module(const LoraModule& module);

}  // namespace fourstep
