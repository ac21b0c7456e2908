#include "pipeline/hash_tags.h"

#include <filesystem>

#include "io/hash_cache.h"
#include "pipeline/image_metadata.h"

namespace fourstep {

namespace {

FileHashes hashes_of(const std::string& file, const Events& events) {
  if (file.empty() || std::filesystem::is_directory(file)) return {};
  constexpr uint64_t kMiB = 1 << 20;
  const auto progress = [&](uint64_t done, uint64_t total) {
    events.report(
        {Stage::kHash, static_cast<int64_t>(done / kMiB), static_cast<int64_t>(total / kMiB)});
  };
  return cached_hashes(file, hash_cache_path(), progress).value_or(FileHashes{});
}

/// A1111 leaves out of names what separates them.
void add_named_hash(std::string& list, const std::string& file, const std::string& hash) {
  if (hash.empty()) return;
  std::string name = stem_of(file);
  std::erase_if(name, [](char c) { return c == ':' || c == ','; });
  list += fmt::format("{}{}: {}", list.empty() ? "" : ", ", name, hash);
}

}  // namespace

HashTags make_hash_tags(const Request& request,
                        const std::vector<std::filesystem::path>& inversions,
                        const Events& events) {
  constexpr size_t kInversionDigits = 12;
  HashTags tags{hashes_of(request.model, events).auto_v2, hashes_of(request.vae, events).auto_v2,
                "", ""};
  for (const LoraUse& use : request.loras) {
    add_named_hash(tags.loras, use.file, hashes_of(use.file, events).auto_v3.value_or(""));
  }
  for (const std::filesystem::path& file : inversions) {
    const std::string sha256 = hashes_of(file.string(), events).sha256;
    add_named_hash(tags.inversions, file.string(), sha256.substr(0, kInversionDigits));
  }
  return tags;
}

}  // namespace fourstep
