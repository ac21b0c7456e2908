#include "workbench/part_metadata.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/hash_cache.h"
#include "io/weight_files.h"

namespace fourstep {

namespace fs = std::filesystem;

std::string sha256_of(const fs::path& path, const Events& events) {
  if (!is_whole_file(path)) return "";
  const auto hashes = cached_hashes(path, hash_cache_path(), [&](uint64_t done, uint64_t total) {
    events.report(
        {Stage::kHash, static_cast<int64_t>(done >> 20), static_cast<int64_t>(total >> 20)});
  });
  return hashes ? hashes->sha256 : "";
}

nlohmann::ordered_json part_json(const fs::path& path, const std::string& sha256,
                                 const Metadata& metadata) {
  nlohmann::ordered_json json{{"name", path.filename().string()}};
  if (!sha256.empty()) json["sha256"] = sha256;
  const std::string title = entry_of(metadata, "modelspec.title");
  if (!title.empty()) json["title"] = title;
  const std::string license = licence_of(metadata);
  if (!license.empty()) json["license"] = license;
  return json;
}

std::string joined(const std::vector<std::string>& texts, const char* separator) {
  std::vector<std::string> once;
  for (const std::string& text : texts) {
    if (!text.empty() && std::find(once.begin(), once.end(), text) == once.end())
      once.push_back(text);
  }
  return fmt::format("{}", fmt::join(once, separator));
}

}  // namespace fourstep
