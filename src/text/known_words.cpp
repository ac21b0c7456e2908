#include "text/known_words.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "base/text_tools.h"
#include "text/unicode.h"

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

namespace {

constexpr char32_t kJoiner = 0x200D, kEmojiStyle = 0xFE0F, kKeycap = 0x20E3, kBlackFlag = 0x1F3F4;

bool is_flag_letter(char32_t c) { return c >= 0x1F1E6 && c <= 0x1F1FF; }
/// A skin tone, or the sign that asks for the coloured form.
bool is_style(char32_t c) { return (c >= 0x1F3FB && c <= 0x1F3FF) || c == kEmojiStyle; }
bool is_flag_tag(char32_t c) { return c >= 0xE0020 && c <= 0xE007F; }

bool is_word(char32_t c) {
  const CharClass kind = char_class(c);
  return kind == CharClass::kLetter || kind == CharClass::kNumber;
}

/// The place behind the emoji that begins at `at`: its style, skin tone, the tags of a flag, and
/// what joiners add.
/// Source: Unicode Technical Standard 51, emoji sequences.
size_t emoji_end(std::u32string_view text, size_t at) {
  const auto is_next = [&](auto accepts) { return at < text.size() && accepts(text[at]); };
  while (true) {
    const char32_t first = text[at++];
    if (is_flag_letter(first)) return is_next(is_flag_letter) ? at + 1 : at;
    while (is_next(is_style)) ++at;
    while (first == kBlackFlag && is_next(is_flag_tag)) ++at;
    const bool is_joined = at + 1 < text.size() && text[at] == kJoiner && is_emoji(text[at + 1]);
    if (!is_joined) return at;
    ++at;
  }
}

/// The place behind the character that begins at `at`, with its marks.
size_t character_end(std::u32string_view text, size_t at) {
  if (is_emoji(text[at])) return emoji_end(text, at);
  const std::u32string_view rest = text.substr(at + 1);
  if (rest.starts_with(std::u32string{kEmojiStyle, kKeycap})) return at + 3;
  for (++at; at < text.size() && is_mark(text[at]);) ++at;
  return at;
}

/// Without variation selectors: they choose between forms of a letter that look alike.
std::string shown_part(std::u32string_view character) {
  const bool has_style = is_emoji(character[0]) || character.ends_with(kKeycap);
  std::string bytes;
  for (const char32_t c : character) {
    if (has_style || !is_invisible(c)) append_utf8(bytes, c);
  }
  return bytes;
}

}  // namespace

std::string file_words(std::string_view text) {
  constexpr size_t kMostCharacters = 40, kMostBytes = 100;
  const std::u32string all = to_nfc(decode_utf8(text));
  std::string words;
  size_t count = 0;
  for (size_t at = 0; at < all.size() && count < kMostCharacters;) {
    const size_t begin = at;
    const bool is_shown = is_word(all[at]) || is_emoji(all[at]);
    at = is_shown ? character_end(all, at) : at + 1;
    if (is_shown) {
      const std::string part = shown_part(std::u32string_view(all).substr(begin, at - begin));
      if (words.size() + part.size() > kMostBytes) break;
      words += part;
      ++count;
    } else if (!is_invisible(all[begin]) && !words.empty() && words.back() != '-') {
      words += '-';
      ++count;
    }
  }
  if (words.ends_with('-')) words.pop_back();
  return words;
}

}  // namespace fourstep
