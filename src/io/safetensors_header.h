#pragma once
// The header of a safetensors file: names, types, shapes and places of the tensors, fully checked.
// Source of layout and checks: the format's reference implementation (huggingface/safetensors
// 0.8.0-dev). Beyond it we refuse what only hostile or broken files have: names given twice, NUL in
// names, positional entries, metadata keys given twice, nesting beyond kMaxJsonDepth, names beyond
// kMaxNameBytes, more than kMaxTensors tensors, and dimensions of 2^63 and more.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "base/tensor.h"
#include "io/tensor_file.h"

namespace fourstep {

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;  ///< the reference's limit
inline constexpr size_t kMaxJsonDepth = 32;
inline constexpr size_t kMaxNameBytes = 4096;
inline constexpr size_t kMaxTensors = 1'000'000;

struct SafetensorsEntry {
  std::string dtype;  ///< as written in the file: "F16", "BF16", "F8_E4M3", ...
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< bytes, relative to the data area
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> entries;
  Metadata metadata;
  uint64_t data_offset = 0;  ///< 8 + header length: where the data area begins in the file
};

/// Reads and checks the header of a file of `file_bytes` bytes, of which `head` holds at least the
/// header.
/// name: for messages. Throws Error on anything the format forbids; text from the file is escaped
/// in it.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> head, uint64_t file_bytes,
                                           const std::string& name);

/// Of the file at `path`; its data area is not read.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);

}  // namespace fourstep
