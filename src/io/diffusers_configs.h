#pragma once
// The small JSON files of a diffusers folder, made from the shapes of the weights and the hints.
// Source of names and values: the published folders of SDXL base 1.0, SSD-1B and SD 1.5.

#include <map>
#include <string>

#include "io/checkpoint.h"

namespace fourstep {

/// Text by path inside the folder: model_index.json, the config.json of every component that the checkpoint has,
/// scheduler/scheduler_config.json. Tokenizers are not among them.
std::map<std::string, std::string> diffusers_configs(const Checkpoint& checkpoint);

}  // namespace fourstep
