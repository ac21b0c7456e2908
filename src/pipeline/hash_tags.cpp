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

}  // namespace

HashTags make_hash_tags(const Request& request, const Events& events) {
  HashTags tags{hashes_of(request.model, events).auto_v2, hashes_of(request.vae, events).auto_v2,
                ""};
  for (const LoraUse& use : request.loras) {
    const auto hash = hashes_of(use.file, events).auto_v3;
    if (!hash) continue;
    tags.loras += fmt::format("{}{}: {}", tags.loras.empty() ? "" : ", ", stem_of(use.file), *hash);
  }
  return tags;
}

}  // namespace fourstep
