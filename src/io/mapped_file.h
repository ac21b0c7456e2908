#pragma once
// A file mapped into memory, read-only and private, and tensors that are views of it.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "base/tensor.h"

namespace fourstep {

/// The size is taken once, when the file is opened. Nothing is read before it is used. If another
/// program cuts the file short while it is mapped, touching the lost part ends the process
/// (SIGBUS): replace model files by renaming, as write_atomically() does, never in place.
class MappedFile {
 public:
  /// operation: who asks, for messages. Throws Error when `path` is missing, a folder, not a plain
  /// file or not readable.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path,
                                                std::string_view operation);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// The whole file; empty for an empty file.
  std::span<const std::byte> bytes() const { return bytes_; }

  /// Tells the kernel that the pages wholly inside [data, data + num_bytes) are not needed any
  /// more, so that they leave this process's resident memory. They stay mapped: a later access
  /// reads them from the file again. Does nothing for memory outside the mapping.
  void drop(const void* data, size_t num_bytes) const;

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

/// MappedFile::drop() for the memory of `tensor`, when it is a view that make_view() gave (or a
/// view of one): call it after a weight was copied or cast. No effect on other tensors.
void drop_pages(const Tensor& tensor);

/// A tensor of `shape` (row-major) on the bytes of the file that start at `begin`. It keeps the
/// mapping alive and must not be written to. Its data need not be aligned: aligned() of
/// base/tensor.h before reading it by torch's functions. The caller has checked that the bytes lie
/// inside the file.
Tensor make_view(const std::shared_ptr<const MappedFile>& mapping, uint64_t begin,
                 const Shape& shape, torch::ScalarType dtype);

}  // namespace fourstep
