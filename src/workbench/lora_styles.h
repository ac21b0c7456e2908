#pragma once
// The key styles of LoRA files: to recognise, and to write.
//
//   kohya      lora_unet_down_blocks_1_attentions_0_proj_in.lora_down.weight   diffusers' module
// names
//   kohya-ldm  lora_unet_input_blocks_4_1_proj_in.lora_down.weight             names of single-file
// checkpoints
//   peft       unet.down_blocks.1.attentions.0.proj_in.lora_A.weight           what diffusers
// writes today
//   diffusers  unet.down_blocks.1.attentions.0.proj_in.lora.down.weight        what it wrote before
// PEFT
//
// The first two carry alpha as a tensor per module. The others have no tensor for it: it stands in
// the metadata entry `lora_adapter_metadata`, or is folded into the up factor.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lora/lora_file.h"
#include "lora/lora_match.h"
#include "lora/lora_parts.h"
#include "workbench/lora_layouts.h"

namespace fourstep {

enum class LoraStyle { kKohya, kKohyaLdm, kPeft, kDiffusers };

/// "kohya", "kohya-ldm", "peft", "diffusers".
const char* to_string(LoraStyle style);

/// Throws InvalidRequest for other words.
LoraStyle style_from_text(const std::string& text);

/// Whether alpha is a tensor of the file.
bool has_alpha_tensors(LoraStyle style);

/// What a file's keys look like, for people: "kohya (diffusers names)", "PEFT", ..., several joined
/// by " + ".
std::string describe_style(const std::vector<std::string>& module_names,
                           const std::vector<std::string>& keys);

/// The module's name in the file. Throws Error when the style has none for it.
std::string module_key(LoraStyle style, const ParameterId& id, const LoraLayout& layout);

/// What stands behind it; nothing when the style cannot express the role.
std::optional<std::string> role_suffix(LoraStyle style, Component component, LoraRole role);

/// The tensors of a module by role, without alpha and scale.
std::map<LoraRole, Tensor> roles_of(const LoraModule& module, bool is_bias);

/// The modules as a file in kohya's style: factors in `dtype`, alpha (rounded to fp32) in the same
/// type where it holds it exactly, else in fp32. Modules without alpha and with factor 1 get none.
/// Throws Error when a value does not fit `dtype`.
NamedTensors kohya_tensors(const std::map<ParameterId, LoraModule>& modules,
                           const LoraLayout& layout, torch::ScalarType dtype);

/// A scalar tensor in the first of `dtype`, fp32 and fp64 that holds `value` exactly.
Tensor scalar_tensor(double value, torch::ScalarType dtype);

/// `tensor` in `dtype`. Throws Error naming `key` when a finite value becomes infinite.
Tensor cast_checked(const Tensor& tensor, torch::ScalarType dtype, const std::string& key);

}  // namespace fourstep
