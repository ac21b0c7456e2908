#include "text/unicode.h"

namespace fourstep {
namespace {

struct Utf8Lead {
  int length;     ///< bytes of the sequence; 0: no lead byte
  char32_t bits;  ///< payload of the lead byte
  uint8_t low;    ///< smallest and
  uint8_t high;   ///< largest second byte (excludes overlong forms, surrogates, beyond U+10FFFF)
};

// Source: The Unicode Standard, table 3-7 "Well-Formed UTF-8 Byte Sequences".
Utf8Lead read_lead(uint8_t byte) {
  if (byte < 0x80) return {1, byte, 0, 0};
  if (byte < 0xC2 || byte > 0xF4) return {0, 0, 0, 0};
  if (byte < 0xE0) return {2, byte & 0x1Fu, 0x80, 0xBF};
  if (byte < 0xF0) {
    const uint8_t low = byte == 0xE0 ? 0xA0 : 0x80, high = byte == 0xED ? 0x9F : 0xBF;
    return {3, byte & 0x0Fu, low, high};
  }
  const uint8_t low = byte == 0xF0 ? 0x90 : 0x80, high = byte == 0xF4 ? 0x8F : 0xBF;
  return {4, byte & 0x07u, low, high};
}

}  // namespace

std::u32string decode_utf8(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    Utf8Lead lead = read_lead(static_cast<uint8_t>(bytes[i]));
    char32_t c = lead.bits;
    int used = 1;
    for (; used < lead.length && i + used < bytes.size(); ++used) {
      const uint8_t next = static_cast<uint8_t>(bytes[i + used]);
      if (next < lead.low || next > lead.high) break;
      c = c << 6 | (next & 0x3Fu);
      lead.low = 0x80, lead.high = 0xBF;
    }
    text.push_back(used == lead.length ? c : U'\uFFFD');
    i += used;
  }
  return text;
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&out, c](int shift) {
    out.push_back(static_cast<char>(0x80 | (c >> shift & 0x3F)));
  };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | c >> 12));
    tail(6), tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | c >> 18));
    tail(12), tail(6), tail(0);
  }
}

}  // namespace fourstep
