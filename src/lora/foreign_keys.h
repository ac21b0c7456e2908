#pragma once
// Recognises by their key names the files that people mistake for LoRAs, and the LoRA kinds and model
// families that cannot be applied, so that messages can name them.

#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// The name of a LoRA kind that is refused ("PEFT's OFT (oft_R)", "VeRA", ...) when `key` belongs to one, else null.
const char* refused_kind(const std::string& key);

/// Half a sentence on what a file without any LoRA module is ("it looks like a full checkpoint: ..."),
/// from its keys.
std::string describe_foreign_keys(const NamedTensors& tensors);

/// The model family that only such module names belong to ("Flux", "SD 3", ...), or null.
const char* foreign_family(const std::vector<std::string>& module_names);

/// The family whose UNet attends to text of this width: "SD 1.5" (768), "SD 2" (1024), "SDXL" (2048),
/// "SDXL refiner" (1280), or null.
const char* family_of_cross_width(int64_t width);

}  // namespace fourstep
