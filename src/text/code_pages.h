#pragma once
// Single-byte encodings of the time before UTF-8.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fourstep {

/// In the order in which wrongly decoded text is tried with them, see mend_encoding().
enum class CodePage {
  kLatin1,
  kWindows1252,
  kWindows1251,
  kWindows1250,
  kWindows1253,
  kWindows1254,
  kWindows1257,
  kIso8859_2,
  kMacRoman,
  kDos437,
};

/// Bytes that the page leaves open are the control characters of the same number, as in browsers.
char32_t windows_1252_char(uint8_t byte);

/// Windows' own pages. Programs that read them put U+FFFD for bytes they do not know.
bool has_substitute(CodePage page);

/// The bytes that a page has for a text, one per character; nothing when it lacks one of them. In
/// Windows' pages the replacement character U+FFFD is the byte 0x1A, and the control character of
/// that number has no byte.
/// Source: ftfy 6.3.1, whose "sloppy" encodings these are.
std::optional<std::string> bytes_in_page(std::u32string_view text, CodePage page);

}  // namespace fourstep
