#include "sampling/plain_name.h"

#include <algorithm>

namespace fourstep {

std::string plain_name(std::string_view name) {
  constexpr std::string_view kIgnored = " \t_-()[],\"'";
  std::string letters;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      letters += static_cast<char>(c - 'A' + 'a');
    } else if (c == '+') {
      letters += 'p';
    } else if (kIgnored.find(c) == std::string_view::npos) {
      letters += c;
    }
  }
  return letters;
}

bool is_class_spelling(std::string_view class_name, std::string_view wanted) {
  constexpr std::string_view kEnding = "scheduler";
  std::string stem = plain_name(class_name);
  if (!stem.ends_with(kEnding)) return false;
  stem.resize(stem.size() - kEnding.size());
  if (wanted.ends_with(kEnding)) wanted.remove_suffix(kEnding.size());
  if (stem == wanted) return true;
  for (const std::string_view ending : {"discrete", "multistep"}) {
    if (stem.ends_with(ending) && stem.substr(0, stem.size() - ending.size()) == wanted) {
      return true;
    }
  }
  return false;
}

std::vector<std::string_view> names_in(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const size_t end = std::min(list.find(';'), list.size());
    names.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

}  // namespace fourstep
