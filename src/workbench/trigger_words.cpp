#include "workbench/trigger_words.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fourstep {
namespace {

constexpr int64_t kLargestCount = int64_t{1} << 32;  ///< of a tag, so that no sum overflows

/// Tags with their counts over all folders; values of other types are passed over.
std::map<std::string, int64_t> tag_counts(const std::string& json) {
  std::map<std::string, int64_t> counts;
  const auto folders = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!folders.is_object()) return counts;
  for (const auto& [folder, tags] : folders.items()) {
    if (!tags.is_object()) continue;
    for (const auto& [tag, count] : tags.items()) {
      if (count.is_number_integer())
        counts[tag] += std::clamp<int64_t>(count.get<int64_t>(), 0, kLargestCount);
    }
  }
  return counts;
}

}  // namespace

std::vector<std::pair<std::string, int64_t>> trigger_words(const Metadata& metadata, size_t count) {
  const std::string phrase = entry_of(metadata, "modelspec.trigger_phrase");
  if (!phrase.empty()) return {{phrase, 0}};
  std::vector<std::pair<std::string, int64_t>> words;
  for (const auto& [tag, number] : tag_counts(entry_of(metadata, "ss_tag_frequency")))
    words.emplace_back(tag, number);
  std::stable_sort(words.begin(), words.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  words.resize(std::min(words.size(), count));
  return words;
}

}  // namespace fourstep
