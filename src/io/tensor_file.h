#pragma once
// A file of named tensors, whatever its container: safetensors or a pickled PyTorch file. The tensors are
// views of the memory-mapped file: nothing is read before it is used, and the mapping lives as long as any
// of them. They must not be written to.

#include <filesystem>
#include <memory>
#include <string>

#include "base/tensor.h"
#include "io/file_metadata.h"
#include "io/mapped_file.h"

namespace fourstep {

struct TensorFile {
  std::filesystem::path path;
  NamedTensors tensors;
  Metadata metadata;  ///< safetensors `__metadata__`; empty for pickles
  /// What the tensors are views of; for drop_pages() after a weight was copied.
  std::shared_ptr<const MappedFile> mapping;
};

/// Opens by content, not by name: safetensors (safetensors.h) or a PyTorch file (pickle.h).
/// Throws Error naming the file and what is wrong with it; folders, empty files, GGUF files, web pages saved
/// in place of a model and git-lfs pointers are named as such.
TensorFile open_tensor_file(const std::filesystem::path& path);

}  // namespace fourstep
