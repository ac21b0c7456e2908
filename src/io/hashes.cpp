#include "io/hashes.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/atomic_file.h"
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

namespace fs = std::filesystem;
using UnorderedJson = nlohmann::json;

namespace {

UnorderedJson read_cache(const fs::path& path) {
  std::ifstream in(path);
  const UnorderedJson json = UnorderedJson::parse(in, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : UnorderedJson::object();
}

/// What must be the same for an entry to hold.
UnorderedJson identity_of(const fs::path& path) {
  return {{"size", fs::file_size(path)},
          {"changed", fs::last_write_time(path).time_since_epoch().count()}};
}

std::optional<FileHashes> hashes_of(const UnorderedJson& entry, const UnorderedJson& identity) {
  if (!entry.is_object() || entry.value("identity", UnorderedJson()) != identity)
    return std::nullopt;
  const auto text = [&](const char* key) {
    const auto found = entry.find(key);
    return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  FileHashes hashes{text("sha256"), text("auto_v1"), text("auto_v2"), std::nullopt};
  if (hashes.sha256.size() != 64 || hashes.auto_v2.size() != 10) return std::nullopt;
  if (!text("auto_v3").empty()) hashes.auto_v3 = text("auto_v3");
  return hashes;
}

/// False when the cache cannot be written.
bool remember(const fs::path& cache, const std::string& key, const UnorderedJson& identity,
              const FileHashes& hashes) {
  UnorderedJson entry = {{"identity", identity},
                         {"sha256", hashes.sha256},
                         {"auto_v1", hashes.auto_v1},
                         {"auto_v2", hashes.auto_v2}};
  if (hashes.auto_v3) entry["auto_v3"] = *hashes.auto_v3;
  std::error_code failed;
  fs::create_directories(cache.parent_path(), failed);
  if (failed) return false;
  try {
    const FileLock lock(fs::path(cache) += ".lock");  // another run may be adding an entry, too
    UnorderedJson all = read_cache(cache);
    all[key] = entry;
    write_atomically(cache, [&](std::ostream& out) {
      out << all.dump(1, ' ', false, UnorderedJson::error_handler_t::replace);
    });
  } catch (const Error&) {
    return false;  // a home without room or rights: the next run hashes again
  }
  return true;
}

}  // namespace

std::optional<fs::path> hash_cache_path() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return fs::path(cache) / "fourstep/hashes.json";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return fs::path(home) / ".cache/fourstep/hashes.json";
  }
  return std::nullopt;
}

std::optional<FileHashes> cached_hashes(const fs::path& path, const std::optional<fs::path>& cache,
                                        const HashProgress& progress) {
  std::error_code failed;
  const fs::path absolute = fs::canonical(path, failed);
  if (failed || !cache) return compute_hashes(path, progress);
  const UnorderedJson identity = identity_of(absolute);
  const UnorderedJson all = read_cache(*cache);
  if (const auto entry = all.find(absolute.string()); entry != all.end()) {
    if (auto hashes = hashes_of(*entry, identity)) return hashes;
  }
  auto hashes = compute_hashes(path, progress);
  if (hashes) remember(*cache, absolute.string(), identity, *hashes);
  return hashes;
}

}  // namespace fourstep
