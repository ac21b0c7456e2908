#include "io/text_encoding.h"

#include <cstdint>

#include "base/utf8.h"

namespace fourstep {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

void append_utf16be(std::string& out, char32_t unit) {
  out.push_back(static_cast<char>(unit >> 8));
  out.push_back(static_cast<char>(unit & 0xFF));
}

bool is_surrogate(char32_t code) { return code >= 0xD800 && code < 0xE000; }

/// Bytes of the sequence that `lead` begins; 0 when no sequence begins with it.
size_t sequence_length(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

}  // namespace

std::optional<char32_t> next_code_point(std::string_view text, size_t& at) {
  const auto lead = static_cast<uint8_t>(text[at]);
  const size_t length = sequence_length(lead), begin = at++;
  if (length == 1) return lead;
  if (length == 0 || begin + length > text.size()) return std::nullopt;
  char32_t code = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<uint8_t>(text[begin + i]);
    if ((byte & 0xC0) != 0x80) return std::nullopt;
    code = code << 6 | (byte & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || is_surrogate(code) || code > 0x10FFFF) return std::nullopt;
  at = begin + length;
  return code;
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (!next_code_point(text, at)) return false;
  }
  return true;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    append_utf8(out, next_code_point(text, at).value_or(kReplacement));
  }
  return out;
}

std::string text_without_nuls(std::string_view text) {
  std::string out;
  for (const char c : valid_utf8(text)) {
    if (c == '\0') {
      append_utf8(out, kReplacement);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string utf8_from_latin1(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char byte : bytes) append_utf8(out, static_cast<uint8_t>(byte));
  return out;
}

std::optional<std::string> latin1_from_utf8(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto code = next_code_point(text, at);
    if (!code || *code > 0xFF) return std::nullopt;
    out.push_back(static_cast<char>(*code));
  }
  return out;
}

std::string utf8_from_utf16(std::string_view bytes, bool big_endian) {
  const auto unit = [&](size_t i) -> char32_t {
    const auto first = static_cast<uint8_t>(bytes[2 * i]);
    const auto second = static_cast<uint8_t>(bytes[2 * i + 1]);
    return static_cast<char32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  std::string out;
  const size_t num_units = bytes.size() / 2;
  for (size_t i = 0; i < num_units; ++i) {
    char32_t code = unit(i);
    const bool is_pair = code >= 0xD800 && code < 0xDC00 && i + 1 < num_units &&
                         unit(i + 1) >= 0xDC00 && unit(i + 1) < 0xE000;
    if (is_pair) code = 0x10000 + ((code - 0xD800) << 10) + (unit(++i) - 0xDC00);
    append_utf8(out, is_surrogate(code) ? kReplacement : code);
  }
  return out;
}

std::string utf16be_from_utf8(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t code = next_code_point(text, at).value_or(kReplacement);
    if (code < 0x10000) {
      append_utf16be(out, code);
    } else {
      append_utf16be(out, 0xD800 + ((code - 0x10000) >> 10));
      append_utf16be(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }
  return out;
}

}  // namespace fourstep
