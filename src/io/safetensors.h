#pragma once
// The safetensors container as tensors: reading without a copy, writing as the reference writer
// does.

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "base/tensor.h"
#include "io/safetensors_header.h"
#include "io/tensor_file.h"

namespace fourstep {

/// Maps the file. Left out of `tensors`, but in the header, are entries that libtorch cannot hold:
/// F4 and F6_* types, more than 8 dimensions, and empty tensors whose other dimensions overflow.
TensorFile open_safetensors(const std::filesystem::path& path);

/// Byte-exact with the reference writer: tensors by dtype (widest first), then by name; header
/// padded to 8 bytes. Written under a temporary name in the same folder, synced and renamed.
/// Tensors may be on any device and of any strides; one at a time is copied to the CPU.
/// Throws Error when a dtype has no name in the format or the file cannot be written.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata = {});

/// What a tensor of a file will be, before its values exist.
struct TensorPlan {
  torch::ScalarType dtype = torch::kFloat;
  Shape shape;
};

/// Bytes of all values together.
uint64_t size_of_tensors(const std::map<std::string, TensorPlan>& plans);

/// The same file for tensors that are made one by one, in the order of the file, so that a
/// checkpoint larger than the memory can be written: while one is being written (by a second
/// thread), `make` works on the next. Pages of mapped files that a written tensor was a view of are
/// dropped (drop_pages()).
/// make: the values for a name; what it throws ends the writing and is passed on.
/// Throws Error as above, and when a tensor is not as planned.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, TensorPlan>& plans,
                       const std::function<Tensor(const std::string& name)>& make,
                       const Metadata& metadata = {});

}  // namespace fourstep
