#pragma once
// A checkpoint as the workbench changes it: the tensors of a single file, each with the parameters
// (diffusers names) that it holds, and LoRA files resolved against it.

#include <filesystem>
#include <map>
#include <string>

#include "io/key_names.h"
#include "io/model_parts.h"
#include "lora/lora_match.h"

namespace fourstep {

struct BaseModel {
  TensorFile file;                     ///< single-file names; of a folder: what would be its file
  Checkpoint checkpoint;               ///< the same memory under diffusers names
  std::map<std::string, KeyRow> rows;  ///< by key of `file`; keys that hold no parameter have none
};

/// Opens a file or a diffusers folder as open_checkpoint() does; weights of scaled fp8 files are
/// promises of their true values (base/scaled_weight.h), and what described their scales is gone
/// from the metadata.
/// Throws Error as open_checkpoint(), and when there is no UNet.
BaseModel open_base_model(const std::filesystem::path& path);

/// The model with other parts in it, as a single file would have it; paths.model alone gives the
/// above.
/// Throws Error as open_model_parts(), and for a tiny VAE, which single files have no place for.
BaseModel open_base_model(const ModelPaths& paths);

/// What people should know of the checkpoint before it is copied: files chosen among several,
/// weights missing in its parts.
std::vector<std::string> notices_of(const Checkpoint& checkpoint);

/// open_lora(), match_lora() and check_complete().
LoraMatch open_matched_lora(const std::filesystem::path& lora, const Checkpoint& checkpoint,
                            bool is_partial_allowed = false);

/// The dtype that most elements of the UNet are stored in; of scaled fp8 that of the codes.
torch::ScalarType unet_dtype(const Checkpoint& checkpoint);

/// The dtype that most of them get when a merge keeps their types: fp16 instead of scaled fp8.
torch::ScalarType merged_unet_dtype(const Checkpoint& checkpoint);

/// "F16", "BF16": the name in files.
std::string dtype_name(torch::ScalarType dtype);

}  // namespace fourstep
