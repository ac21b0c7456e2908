#pragma once
// Which files hold the weights of one network, or of one model: a whole file, or the shards that
// large ones are cut into, with or without the index that says which tensor is in which. Source of
// the names: save_pretrained() of diffusers and transformers ("model-00001-of-00002.safetensors",
// "model.fp16-00001-of-00002.safetensors", "model.safetensors.index.json",
// "model.safetensors.index.fp16.json") and their older spellings of variants.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/tensor_file.h"

namespace fourstep {

/// What "model-00001-of-00002.fp16.safetensors" says.
struct ShardName {
  std::string before, after;  ///< "model", ".fp16.safetensors"
  int64_t number = 1, count = 1;
};

/// Nothing for the name of a file that is no shard.
std::optional<ShardName> shard_name(const std::string& file_name);

/// A file that is all of what it stands for: no folder and no shard. Only of such a file does a
/// hash say something.
bool is_whole_file(const std::filesystem::path& path);

/// "model.fp16" of a shard's path; without folder and extension, as path.stem() of a whole file.
std::string stem_without_shard(const std::filesystem::path& file);

struct WeightFiles {
  std::vector<std::filesystem::path> files;    ///< one, or all shards in order
  std::filesystem::path index;                 ///< empty: there is none, or it is not needed
  std::map<std::string, std::string> placing;  ///< of the index: file name by tensor
  std::string notice;                          ///< one sentence where a choice was made; else empty
};

/// The file itself; for a shard all of them, found by their numbers.
/// Throws Error naming the file that is missing.
WeightFiles weight_files_of(const std::filesystem::path& file);

/// Whether the folder holds weights under one of the usual names, or shards of any name.
bool has_usual_weights(const std::filesystem::path& folder);

/// The weights in a folder: in full precision before variants (".fp16" before others), safetensors
/// before PyTorch files, and what is whole before what lacks a shard. Where a whole file and an
/// index are both there, diffusers' files go by the index and transformers' by the file, as these
/// programs do.
/// Throws Error naming the folder when it holds no weights or several that may not belong together;
/// naming the shard that is missing, or the index whose JSON is damaged or that names a file
/// outside the folder.
WeightFiles find_weight_files(const std::filesystem::path& folder);

/// All tensors of all files. Metadata are joined, those of earlier files first.
/// Throws Error as open_tensor_file(), and naming a tensor that the index expects and no file has,
/// or that two shards hold with different values.
TensorFile read_weight_files(const WeightFiles& files);

}  // namespace fourstep
