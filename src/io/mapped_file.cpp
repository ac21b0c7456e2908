#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/scaled_weight.h"

namespace fourstep {

namespace {

/// Closes at the end of the scope; a mapping outlives its descriptor.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

uint64_t plain_file_size(int fd, const std::filesystem::path& path, std::string_view operation) {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    throw Error("{}(\"{}\"): {}", operation, path.string(), std::strerror(errno));
  if (S_ISDIR(status.st_mode))
    throw Error("{}(\"{}\"): this is a folder, expected a file", operation, path.string());
  if (!S_ISREG(status.st_mode))
    throw Error("{}(\"{}\"): this is a device or pipe, expected a plain file", operation,
                path.string());
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path,
                                                   std::string_view operation) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer. Plain files do not heed it.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0)
    throw Error("{}(\"{}\"): cannot open the file: {}", operation, path.string(),
                std::strerror(errno));
  const uint64_t size = plain_file_size(file.fd, path, operation);
  std::span<const std::byte> bytes;
  if (size > 0) {
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (start == MAP_FAILED)
      throw Error("{}(\"{}\"): cannot map {} bytes: {}", operation, path.string(), size,
                  std::strerror(errno));
    bytes = {static_cast<const std::byte*>(start), static_cast<size_t>(size)};
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(bytes));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::drop(const void* data, size_t num_bytes) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto file_begin = reinterpret_cast<uintptr_t>(bytes_.data());
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const bool inside = begin >= file_begin && begin - file_begin <= bytes_.size() &&
                      num_bytes <= bytes_.size() - (begin - file_begin);
  if (!inside) return;
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + num_bytes) / page * page;
  // Advice only: when the kernel refuses, memory stays in use and nothing else changes.
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

namespace {

using Owner = std::shared_ptr<const MappedFile>;

/// The deleter of every view: also the mark by which drop_pages() knows one.
void release_owner(void* owner) { delete static_cast<Owner*>(owner); }

}  // namespace

void drop_pages(const Tensor& tensor) {
  if (const ScaledWeight* scaled = scaled_weight_of(tensor)) return drop_pages(scaled->codes);
  if (!tensor.defined() || !tensor.has_storage()) return;
  const auto* owner = tensor.storage().data_ptr().cast_context<Owner>(release_owner);
  if (owner) (*owner)->drop(tensor.const_data_ptr(), tensor.nbytes());
}

Tensor make_view(const std::shared_ptr<const MappedFile>& mapping, uint64_t begin,
                 const Shape& shape, torch::ScalarType dtype) {
  const auto options = torch::TensorOptions().dtype(dtype);
  const std::byte* data = mapping->bytes().data() + begin;
  // There is no read-only form: here, and nowhere else, the const of the mapping is given up.
  return at::for_blob(const_cast<std::byte*>(data), shape)
      .context(new Owner(mapping), release_owner)
      .options(options)
      .make_tensor();
}

}  // namespace fourstep
