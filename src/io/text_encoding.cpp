#include "io/text_encoding.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstdint>

#include "base/text_tools.h"
#include "io/exif.h"

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

namespace {

void append_escaped(std::string& out, unsigned char byte) {
  if (byte == '\n') {
    out += "\\n";
  } else if (byte == '"' || byte == '\\') {
    out += {'\\', static_cast<char>(byte)};
  } else if (byte >= 0x20 && byte < 0x7F) {
    out += static_cast<char>(byte);
  } else {
    out += fmt::format("\\x{:02x}", byte);
  }
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string out = "\"";
  for (const char c : text.substr(0, max_bytes)) append_escaped(out, static_cast<unsigned char>(c));
  out += '"';
  if (text.size() > max_bytes) out += fmt::format("... ({} bytes)", text.size());
  return out;
}

namespace {

/// Keywords: 1..79 printable Latin-1 characters (PNG specification, 11.3.3.1).
bool is_png_keyword(const std::string& name) {
  const auto keyword = latin1_from_utf8(name);
  bool is_fit = keyword && !keyword->empty() && keyword->size() <= 79;
  for (size_t i = 0; is_fit && i < keyword->size(); ++i) {
    const auto c = static_cast<uint8_t>((*keyword)[i]);
    is_fit = (c >= 33 && c <= 126) || c >= 161 || (c == ' ' && i > 0 && i + 1 < keyword->size());
  }
  return is_fit;
}

const char* png_refusal(const ImageText& text) {
  const bool is_fit = std::all_of(text.begin(), text.end(),
                                  [](const auto& item) { return is_png_keyword(item.first); });
  return is_fit ? nullptr : "names of texts in PNG are 1 to 79 printable Latin-1 characters";
}

const char* exif_refusal(const ImageText& text, size_t max_bytes, const char* when_too_long) {
  if (make_exif(text, max_bytes)) return nullptr;
  return make_exif(text) ? when_too_long : "EXIF has no place for it";
}

/// Why a file cannot hold these texts together; null when it can.
const char* fit_refusal(const ImageText& text, ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng:
      return png_refusal(text);
    case ImageFormat::kJpeg:
      return exif_refusal(text, kMaxJpegExifBytes, "JPEG holds 64 KiB of text");
    case ImageFormat::kWebp:
      return exif_refusal(text, std::numeric_limits<uint32_t>::max(), "EXIF holds 4 GiB of text");
    case ImageFormat::kPpm:
      break;
  }
  return text.empty() ? nullptr : "PPM holds no text";
}

}  // namespace

FittedText fit_text(const ImageText& text, ImageFormat format) {
  std::vector<ImageText::const_iterator> shortest_first;
  for (auto item = text.begin(); item != text.end(); ++item) shortest_first.push_back(item);
  std::stable_sort(shortest_first.begin(), shortest_first.end(), [](const auto& a, const auto& b) {
    return a->second.size() < b->second.size();
  });
  FittedText fitted;
  for (const auto& item : shortest_first) {
    fitted.text.insert(*item);
    const char* reason = fit_refusal(fitted.text, format);
    if (!reason) continue;
    fitted.text.erase(item->first);
    fitted.left_out.push_back({item->first, reason});
  }
  return fitted;
}

}  // namespace fourstep
