#pragma once
// PyTorch checkpoints (.ckpt, .pt, .pth, .bin), read without running anything that they contain.
// libtorch's own reader is not used: it takes neither the OrderedDict of a state dict nor the
// container of torch < 1.6.
// Source of both containers: torch.save of PyTorch 1.13 to 2.13, by the bytes it writes.

#include <cstddef>
#include <filesystem>
#include <span>

#include "io/tensor_file.h"

namespace fourstep {

/// Whether a file that begins with `head` is in PyTorch's zip container (any zip file), or in the
/// container of torch < 1.6.
bool is_zip_file(std::span<const std::byte> head);
bool is_legacy_pickle(std::span<const std::byte> head);

/// Maps the file. Of a dict with `state_dict` or (textual inversions of A1111) `string_to_param`,
/// and of a dict that holds nothing but one dict, that inner dict is taken; of it the members that
/// are tensors, whatever else it holds. A ParameterDict counts as the dict of its parameters.
/// Row-major tensors are views of the file, others are copied.
/// Throws Error naming the pickle instruction or the Python name when the file holds more than a
/// plain checkpoint, and for tensors that reach outside their data, repeat it (expanded), or are
/// big-endian.
TensorFile open_pickle(const std::filesystem::path& path);

}  // namespace fourstep
