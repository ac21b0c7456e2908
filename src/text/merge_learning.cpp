#include "text/merge_learning.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace fourstep {

namespace {

using Pair = std::pair<std::string, std::string>;
using Symbols = std::vector<std::string>;

/// One symbol per byte, the last with the mark; empty for a word with bytes that do not stand for themselves.
Symbols symbols_of(const std::string& word) {
  Symbols symbols;
  for (const char c : word) {
    if (c < 33 || c > 126) return {};
    symbols.emplace_back(1, c);
  }
  if (!symbols.empty()) symbols.back() += "</w>";
  return symbols;
}

/// The commonest pair of neighbours; two empty texts when there is none.
Pair commonest_pair(const std::vector<Symbols>& words) {
  std::map<Pair, int64_t> counts;
  for (const Symbols& word : words) {
    for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
  }
  const auto best =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
        return a.second < b.second;  // the first of equals stays
      });
  return best == counts.end() ? Pair() : best->first;
}

void merge(Symbols& word, const Pair& pair) {
  for (size_t i = 0; i + 1 < word.size(); ++i) {
    if (word[i] != pair.first || word[i + 1] != pair.second) continue;
    word[i] += word[i + 1];
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

}  // namespace

std::string learn_merges(std::span<const std::string> words, int64_t max_merges) {
  std::vector<Symbols> split;
  for (const std::string& word : std::set<std::string>(words.begin(), words.end())) {
    Symbols symbols = symbols_of(word);
    if (symbols.size() > 1) split.push_back(std::move(symbols));
  }
  std::string text = "#version: 0.2\n";
  for (int64_t i = 0; i < max_merges; ++i) {
    const Pair pair = commonest_pair(split);
    if (pair.first.empty()) break;
    text += pair.first + " " + pair.second + "\n";
    for (Symbols& word : split) merge(word, pair);
  }
  return text;
}

}  // namespace fourstep
