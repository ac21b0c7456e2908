#include "io/hashes.h"

#include <algorithm>
#include <fstream>
#include <future>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/mapped_file.h"
#include "io/safetensors_header.h"
#include "io/sha256.h"

namespace fourstep {
namespace {

/// SHA-256 of the part [begin, end) of a file that is passed through block by block.
class RangeHash {
 public:
  RangeHash(uint64_t begin, uint64_t end) : begin_(begin), end_(end) {}

  /// block: the bytes of the file from `position` on.
  void update(uint64_t position, std::string_view block) {
    const uint64_t from = std::clamp(begin_, position, position + block.size());
    const uint64_t to = std::clamp(end_, from, position + block.size());
    sha256_.update(block.substr(from - position, to - from));
  }

  std::string finish() { return sha256_.finish(); }

 private:
  uint64_t begin_, end_;
  Sha256 sha256_;
};

/// Where the data area of a safetensors file begins; nothing for other files.
std::optional<uint64_t> find_data_area(const std::filesystem::path& path) {
  try {
    return read_safetensors_header(path).data_offset;
  } catch (const Error&) {
    return std::nullopt;  // not this format: it has no hash of this kind
  }
}

void read_blocks(const std::filesystem::path& path, uint64_t total,
                 const std::function<void(uint64_t, std::string_view)>& use) {
  constexpr size_t kBlockBytes = 4 << 20;
  std::ifstream in(path, std::ios::binary);
  std::vector<char> block(kBlockBytes);
  for (uint64_t done = 0; done < total;) {
    const auto count = static_cast<size_t>(std::min<uint64_t>(kBlockBytes, total - done));
    if (!in.read(block.data(), static_cast<std::streamsize>(count)))
      throw Error("compute_hashes(\"{}\"): cannot read at byte {}", path.string(), done);
    use(done, {block.data(), count});
    done += count;
  }
}

}  // namespace

std::optional<std::string> sha256_of(std::string_view bytes) {
  if (!has_sha256()) return std::nullopt;
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::optional<FileHashes> compute_hashes(const std::filesystem::path& path,
                                         const HashProgress& progress) {
  if (!has_sha256()) return std::nullopt;
  constexpr uint64_t kAutoV1Begin = 0x100000, kAutoV1Bytes = 0x10000;
  const uint64_t total = MappedFile::open(path, "compute_hashes")->bytes().size();
  const std::optional<uint64_t> data = find_data_area(path);
  RangeHash whole(0, total), v1(kAutoV1Begin, kAutoV1Begin + kAutoV1Bytes);
  RangeHash v3(data.value_or(total), total);
  read_blocks(path, total, [&](uint64_t position, std::string_view block) {
    // Two hashes over nearly all bytes: side by side they take the time of one.
    std::future<void> other = std::async(std::launch::async, [&] { v3.update(position, block); });
    whole.update(position, block);
    v1.update(position, block);
    other.get();
    if (progress) progress(position + block.size(), total);
  });
  FileHashes hashes;
  hashes.sha256 = whole.finish();
  hashes.auto_v1 = v1.finish().substr(0, 8);
  hashes.auto_v2 = hashes.sha256.substr(0, 10);
  if (data) hashes.auto_v3 = v3.finish().substr(0, 12);
  return hashes;
}

}  // namespace fourstep
