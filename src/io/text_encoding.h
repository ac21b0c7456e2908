#pragma once
// The encodings in which image files carry text, to and from UTF-8. No input is refused: what cannot be
// decoded becomes U+FFFD.

#include <optional>
#include <string>
#include <string_view>

namespace fourstep {

/// The code point that begins at byte `at` of `text`, with `at` moved behind it; nothing (and `at` moved by one
/// byte) where the bytes are not UTF-8: overlong forms, surrogates and values above U+10FFFF included.
/// `at` must be less than text.size().
std::optional<char32_t> next_code_point(std::string_view text, size_t& at);

bool is_utf8(std::string_view text);

/// `text` with each byte that is not part of UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// valid_utf8() with U+FFFD for NUL too, which ends texts in image files.
std::string text_without_nuls(std::string_view text);

std::string utf8_from_latin1(std::string_view bytes);

/// Nothing when a character is above U+00FF or `text` is not UTF-8.
std::optional<std::string> latin1_from_utf8(std::string_view text);

/// bytes: UTF-16 without a byte order mark; an odd last byte is dropped.
std::string utf8_from_utf16(std::string_view bytes, bool big_endian);

/// UTF-16, big-endian, without a byte order mark.
std::string utf16be_from_utf8(std::string_view text);

}  // namespace fourstep
