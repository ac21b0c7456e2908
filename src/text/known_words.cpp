#include "text/known_words.h"

#include <algorithm>
#include <set>
#include <sstream>

namespace fourstep {

namespace {

bool is_in_word(unsigned char c) {
  // Bytes from 0x80 on are parts of letters beyond ASCII.
  return c >= 0x80 || std::isalpha(c) != 0 || c == '-' || c == '\'';
}

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::vector<std::string> words_of(const std::string& prompt) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : prompt + " ") {
    if (is_in_word(static_cast<unsigned char>(c))) {
      word += lower(c);
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  return words;
}

}  // namespace

std::vector<std::string> unknown_words(const std::string& prompt, const std::string& known) {
  std::set<std::string> seen;
  std::istringstream stream(known);
  for (std::string word; stream >> word;) {
    std::transform(word.begin(), word.end(), word.begin(), lower);
    seen.insert(word);
  }
  std::vector<std::string> unknown;
  for (const std::string& word : words_of(prompt)) {
    if (seen.insert(word).second) unknown.push_back(word);
  }
  return unknown;
}

}  // namespace fourstep
