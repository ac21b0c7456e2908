#pragma once
// A file of named tensors, whatever its container: safetensors or a pickled PyTorch file. The
// tensors are views of the memory-mapped file: nothing is read before it is used, and the mapping
// lives as long as any of them. They must not be written to.

#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "io/mapped_file.h"

namespace fourstep {

// What the metadata of weight files say, whatever wrote them: text by key.

using Metadata = std::map<std::string, std::string>;

/// Empty when there is none of this key.
std::string entry_of(const Metadata& metadata, const std::string& key);

/// The first entry of `keys` that is there and not empty.
std::string first_entry(const Metadata& metadata, std::initializer_list<const char*> keys);

/// The first of the entries that licences are written to (ModelSpec's, and what trainers use);
/// empty when there is none.
std::string licence_of(const Metadata& metadata);

// The safetensors names of element types and libtorch's types for them.

struct FileDtype {
  std::string_view name;  ///< as in the file: "BF16"
  int bits = 0;           ///< of one element; 4 and 6 for types that libtorch cannot hold
  std::optional<torch::ScalarType> scalar_type;
};

/// Null for a name that the format does not know; names are case-sensitive.
const FileDtype* find_file_dtype(std::string_view name);

/// Null for a type without a name in the format (complex double, quantised types).
const FileDtype* find_file_dtype(torch::ScalarType scalar_type);

struct TensorFile {
  std::filesystem::path path;
  NamedTensors tensors;
  Metadata metadata;  ///< safetensors `__metadata__`; empty for pickles
  /// What the tensors are views of; for drop_pages() after a weight was copied.
  std::shared_ptr<const MappedFile> mapping;
  /// Entries whose type libtorch cannot hold (F4, F6_E2M3, F6_E3M2), which are not in `tensors`:
  /// type by name.
  std::map<std::string, std::string> foreign_types{};
  /// What quantisation.h found: names of scales and the like, which are not in `tensors` any more,
  /// and why the weights cannot be read (one sentence; empty when they can).
  std::vector<std::string> marks{};
  std::string unreadable{};
  size_t num_files = 1;  ///< more than one: joined from shards
};

/// Opens by content, not by name: safetensors (safetensors.h) or a PyTorch file (pickle.h).
/// Throws Error naming the file and what is wrong with it; folders, empty files, GGUF files, web
/// pages saved in place of a model and git-lfs pointers are named as such.
/// A file whose name says that it is a shard ("x-00001-of-00002.safetensors") stands for all of
/// them: the others are looked for beside it and joined (weight_files.h). Throws Error naming the
/// shard that is missing.
TensorFile open_tensor_file(const std::filesystem::path& path);

/// The one file of this path alone, whatever its name.
TensorFile open_one_tensor_file(const std::filesystem::path& path);

}  // namespace fourstep
