#include "text/prompt_scan.h"

#include <string>

#include "base/utf8.h"
#include "text/unicode.h"

namespace fourstep {
namespace {

constexpr size_t kLongestCodePoint = 4;  // bytes of UTF-8

bool is_word_character(char32_t c) {
  const CharClass kind = char_class(c);
  return c == U'_' || kind == CharClass::kLetter || kind == CharClass::kNumber;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

bool ends_in_word_character(std::string_view text) {
  if (text.empty()) return false;
  size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < kLongestCodePoint && is_continuation(text[begin])) {
    --begin;
  }
  return is_word_character(decode_utf8(text.substr(begin)).back());
}

bool begins_with_word_character(std::string_view text) {
  return !text.empty() && is_word_character(decode_utf8(text.substr(0, kLongestCodePoint)).front());
}

}  // namespace

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_whole_word(std::string_view text, size_t begin, size_t end) {
  return !ends_in_word_character(text.substr(0, begin)) &&
         !begins_with_word_character(text.substr(end));
}

std::string_view without_blanks_behind(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return without_blanks_behind(text);
}

}  // namespace fourstep
