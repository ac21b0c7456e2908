#include "base/similar_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/text_tools.h"

namespace fourstep {

namespace {

/// Four times the edit distance, so that there is room between; abbreviations and names cut short come nearer.
size_t unlikeness(std::string_view a, std::string_view b) {
  const size_t distance = 4 * edit_distance(a, b);
  const bool is_start = a.size() > 2 && b.size() > 2 && (a.starts_with(b) || b.starts_with(a));
  return is_start ? distance / 4 : distance;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  constexpr size_t kCompared = 64;
  a = a.substr(0, kCompared);
  b = b.substr(0, kCompared);
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string joined_with_or(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    const char* before = i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
    text += before + names[i];
  }
  return text;
}

std::vector<std::string> nearest_of(std::string_view name, const std::vector<std::string>& known,
                                    size_t count) {
  const std::string wanted = lower_ascii(name);
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string& candidate : known) {
    ranked.emplace_back(unlikeness(lower_ascii(candidate), wanted), candidate);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> nearest;
  for (const auto& [distance, candidate] : ranked) {
    if (nearest.size() == count) break;
    if (std::find(nearest.begin(), nearest.end(), candidate) == nearest.end()) {
      nearest.push_back(candidate);
    }
  }
  return nearest;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const auto nearest = nearest_of(name, known);
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", joined_with_or(nearest));
}

}  // namespace fourstep
