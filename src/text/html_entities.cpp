#include "text/html_entities.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "text/code_pages.h"
#include "text/unicode.h"

namespace fourstep {
namespace {

constexpr char32_t kBeyondUnicode = 0x110000;

struct Entity {
  std::u32string characters;
  bool needs_semicolon;
};

using EntityNames = std::map<std::u32string, Entity, std::less<>>;

std::u32string characters_from_hex(std::istringstream& codes) {
  std::u32string characters;
  for (std::string code; std::getline(codes, code, '+');) {
    characters.push_back(static_cast<char32_t>(std::stoul(code, nullptr, 16)));
  }
  return characters;
}

EntityNames read_names() {
  EntityNames names;
  std::istringstream entries{std::string(kHtmlEntityNames)};
  for (std::string entry; entries >> entry;) {
    const size_t mark = entry.find_first_of("=*");
    std::istringstream codes(entry.substr(mark + 1));
    names[std::u32string(entry.begin(), entry.begin() + static_cast<std::ptrdiff_t>(mark))] = {
        characters_from_hex(codes), entry[mark] == '='};
  }
  return names;
}

const EntityNames& entity_names() {
  static const EntityNames names = read_names();
  return names;
}

/// The longest name at the beginning of `text` that needs no semicolon; null: none.
const EntityNames::value_type* find_open_name(std::u32string_view text) {
  constexpr size_t kLongestOpenName = 6;
  for (size_t length = std::min(kLongestOpenName, text.size()); length >= 2; --length) {
    const auto found = entity_names().find(text.substr(0, length));
    if (found != entity_names().end() && !found->second.needs_semicolon) return &*found;
  }
  return nullptr;
}

/// Nothing for a name that means nothing, or one in capitals that could mean several things.
std::optional<std::u32string> closed_entity(std::u32string_view name) {
  const auto found = entity_names().find(name);
  if (found != entity_names().end()) return found->second.characters;
  const std::u32string lower = lower_each(name);
  if (upper(lower) != name || find_open_name(name)) return std::nullopt;
  const auto in_lower = entity_names().find(lower);
  if (in_lower == entity_names().end()) return std::nullopt;
  return upper(in_lower->second.characters);
}

bool is_ascii_digit(char32_t c) { return c >= U'0' && c <= U'9'; }

bool is_hex_digit(char32_t c) {
  return is_ascii_digit(c) || (c >= U'a' && c <= U'f') || (c >= U'A' && c <= U'F');
}

bool is_ascii_letter_or_digit(char32_t c) {
  return is_ascii_digit(c) || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
}

/// Control characters and what Unicode will never assign. Source: HTML standard, "numeric character
/// reference end state".
bool is_never_a_character(char32_t c) {
  const bool is_control =
      (c < 0x20 && c != U'\t' && c != U'\n' && c != U'\f' && c != U'\r') || (c >= 0x7F && c < 0xA0);
  return is_control || (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
}

std::u32string character_of_number(char32_t number) {
  const bool is_surrogate = number >= 0xD800 && number < 0xE000;
  if (number == 0 || is_surrogate || number >= kBeyondUnicode) return U"\uFFFD";
  if (number >= 0x80 && number < 0xA0) {
    return {windows_1252_char(static_cast<uint8_t>(number))};
  }
  return is_never_a_character(number) ? U"" : std::u32string{number};
}

struct NumericEntity {
  size_t length = 0;  ///< behind "&", without a semicolon; 0: none
  std::u32string characters;
};

/// text: behind "&".
NumericEntity numeric_entity(std::u32string_view text) {
  if (!text.starts_with(U'#')) return {};
  const bool is_hex = text.size() > 1 && (text[1] == U'x' || text[1] == U'X');
  const size_t begin = is_hex ? 2 : 1;
  size_t end = begin;
  char32_t number = 0;
  for (; end < text.size() && (is_hex ? is_hex_digit : is_ascii_digit)(text[end]); ++end) {
    const char32_t c = text[end];
    const char32_t digit = is_ascii_digit(c) ? c - U'0' : (c | 0x20) - U'a' + 10;
    number = std::min<char32_t>(number * (is_hex ? 16 : 10) + digit, kBeyondUnicode);
  }
  if (end == begin) return {};
  return {end, character_of_number(number)};
}

/// What is to be put in place of the first `length` characters of a text.
struct Unescaped {
  size_t length = 0;
  std::u32string characters;
};

/// text: from "&" on. length 0: nothing is to be done.
using EntityReader = Unescaped (*)(std::u32string_view text);

std::u32string replace_entities(std::u32string_view text, EntityReader read) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const Unescaped found = text[i] == U'&' ? read(text.substr(i)) : Unescaped{};
    if (found.length == 0) {
      out.push_back(text[i++]);
    } else {
      out += found.characters;
      i += found.length;
    }
  }
  return out;
}

Unescaped read_closed(std::u32string_view text) {
  constexpr size_t kLongestName = 24;
  const bool is_number = text.substr(1).starts_with(U'#');
  const size_t begin = is_number ? 2 : 1;
  size_t end = begin;
  while (end < text.size() && is_ascii_letter_or_digit(text[end])) ++end;
  if (end == begin || end - begin > kLongestName || end == text.size() || text[end] != U';') {
    return {};
  }
  if (is_number) {
    const NumericEntity number = numeric_entity(text.substr(1));
    if (number.length + 1 != end || number.characters == U";") return {};
    return {end + 1, number.characters};
  }
  const auto characters = closed_entity(text.substr(begin, end - begin));
  return characters ? Unescaped{end + 1, *characters} : Unescaped{};
}

Unescaped read_open(std::u32string_view text) {
  constexpr size_t kLongestName = 32;
  const auto with_semicolon = [&](size_t end) {
    return end + (end < text.size() && text[end] == U';' ? 1 : 0);
  };
  const NumericEntity number = numeric_entity(text.substr(1));
  if (number.length > 0) return {with_semicolon(number.length + 1), number.characters};
  const std::u32string_view ahead = text.substr(1, kLongestName);
  const std::u32string_view name = ahead.substr(0, ahead.find_first_of(U"\t\n\f <&#;"));
  const size_t end = with_semicolon(name.size() + 1);
  const auto whole = entity_names().find(name);
  const bool is_closed = end == name.size() + 2;
  if (whole != entity_names().end() && (is_closed || !whole->second.needs_semicolon)) {
    return {end, whole->second.characters};
  }
  const auto* open = find_open_name(name);
  if (!open) return {};
  return {open->first.size() + 1, open->second.characters};
}

}  // namespace

std::u32string unescape_closed_entities(std::u32string_view text) {
  return replace_entities(text, read_closed);
}

std::u32string unescape_entities(std::u32string_view text) {
  return replace_entities(text, read_open);
}

}  // namespace fourstep
