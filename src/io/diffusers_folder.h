#pragma once
// Models as diffusers keeps them: a folder with model_index.json and one folder per network, or the
// folder of one network. Weights as safetensors or PyTorch files, whole or in shards, plain or a
// variant (".fp16").

#include <filesystem>
#include <map>
#include <string>

#include "io/checkpoint.h"

namespace fourstep {

// The small JSON files of a diffusers folder, made from the shapes of the weights and the hints.
// Source of names and values: the published folders of SDXL base 1.0, SSD-1B and SD 1.5.

/// Text by path inside the folder: model_index.json, the config.json of every component that the
/// checkpoint has, scheduler/scheduler_config.json. Tokenizers are not among them.
std::map<std::string, std::string> diffusers_configs(const Checkpoint& checkpoint);

/// Whether the folder looks like one of diffusers: model_index.json, a unet folder or a
/// config.json.
bool is_diffusers_folder(const std::filesystem::path& folder);

/// All components named by model_index.json (without one: the network folders that are there),
/// under today's names, with the hints of their config.json files and the scheduler's prediction
/// type.
/// Throws Error naming the folder or file when weights are missing, a shard is missing or names a
/// file outside the folder, or JSON is damaged.
ModelSource open_diffusers_folder(const std::filesystem::path& folder);

/// The weights of one network folder, names as in its files: the plain file if there is one, else a
/// variant; safetensors before PyTorch files; what quantisation left sorted out (quantisation.h).
/// Throws Error as open_diffusers_folder.
TensorFile read_network_folder(const std::filesystem::path& folder);

}  // namespace fourstep
