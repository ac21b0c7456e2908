#pragma once
// The safetensors container. Source of layout, checks and writer order: the format's reference
// implementation (huggingface/safetensors 0.8.0-dev), plus stricter rules of ours for hostile files.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "base/tensor.h"
#include "io/tensor_file.h"

namespace fourstep {

struct SafetensorsEntry {
  std::string dtype;  ///< as written in the file: "F16", "BF16", "F8_E4M3", ...
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< bytes, relative to the data area
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
  uint64_t data_offset = 0;  ///< 8 + header length: where the data area begins in the file
};

/// Reads and checks the header of a file of `file_bytes` bytes, of which `head` holds at least the header.
/// name: for messages. Throws Error on anything the format forbids.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> head, uint64_t file_bytes,
                                           const std::string& name);

/// Header only: does not map the data.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);

/// Maps the file. Entries whose dtype libtorch has no type for (F4, F6_*) are left out of `tensors`.
TensorFile open_safetensors(const std::filesystem::path& path);

/// Byte-exact with the reference writer: tensors by dtype (widest first), then by name; header padded to
/// 8 bytes. Written under a temporary name in the same folder, synced and renamed.
/// Throws Error when a dtype has no name in the format or the file cannot be written.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace fourstep
