#pragma once
// Models as diffusers keeps them: a folder with model_index.json and one folder per network, or the folder of
// one network. Weights as safetensors or PyTorch files, whole or in shards, plain or a variant (".fp16").

#include <filesystem>

#include "io/checkpoint.h"

namespace fourstep {

/// Whether the folder looks like one of diffusers: model_index.json, a unet folder or a config.json.
bool is_diffusers_folder(const std::filesystem::path& folder);

/// All components named by model_index.json (without one: the network folders that are there), under today's
/// names, with the hints of their config.json files and the scheduler's prediction type.
/// Throws Error naming the folder or file when weights are missing, a shard is missing or names a file outside
/// the folder, or JSON is damaged.
ModelSource open_diffusers_folder(const std::filesystem::path& folder);

/// The weights of one network folder, names as in its files: the plain file if there is one, else a variant;
/// safetensors before PyTorch files; what quantisation left sorted out (quantisation.h). Throws Error as
/// open_diffusers_folder.
TensorFile read_network_folder(const std::filesystem::path& folder);

}  // namespace fourstep
