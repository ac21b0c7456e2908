#include "io/hash_cache.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/atomic_file.h"

namespace fourstep {

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
