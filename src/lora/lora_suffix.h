#pragma once
// The ends of a LoRA file's keys: what comes behind the name of the module says what the tensor is.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace fourstep {

/// What a tensor is within its module. kDiff is a difference of any weight, kMagnitude PEFT's form of kDora, kUpBias
/// what PEFT's lora_bias adds to the layer's bias (times alpha / rank). kWeight is IA3's vector where kOnInput stands
/// beside it, else a weight that PEFT saved whole (modules_to_save), as kWholeBias is a bias (bias="all", "lora_only").
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

}  // namespace fourstep
