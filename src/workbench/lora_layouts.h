#pragma once
// The names and shapes of the weights that a LoRA may change: of the published families, made from
// their configurations, so that a LoRA file is understood without a checkpoint at hand; or of a
// checkpoint.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/model_family.h"
#include "lora/lora_keys.h"

namespace fourstep {

struct LoraLayout {
  std::string name;                              ///< "SDXL", or the checkpoint's file name
  std::map<Component, NamedShapes> shapes;       ///< UNet and text encoders, diffusers names
  std::map<std::string, std::string> ldm_names;  ///< of the UNet's parameters, by diffusers name
};

/// All weights and biases of the family's UNet, and those of its text encoders' layers.
/// Sources: the published configurations (generative-models' and diffusers').
LoraLayout published_layout(Family family);

/// In the order of Family.
std::vector<LoraLayout> published_layouts();

/// Throws Error when the path is no model that can be sampled.
LoraLayout layout_of_model(const std::filesystem::path& path);

LoraTargets make_targets(const LoraLayout& layout);

/// The ldm name of a UNet's module ("input_blocks.4.1.proj_in"), given its parameter's diffusers
/// name; empty when the layout has none.
std::string ldm_module(const LoraLayout& layout, const std::string& parameter);

/// The parameter's name without ".weight" or ".bias".
std::string module_of(const std::string& parameter);

}  // namespace fourstep
