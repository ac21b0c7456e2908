#include "io/image_text.h"

#ifndef FOURSTEP_MINIMAL
#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>

#include "io/text_encoding.h"

namespace fourstep {
namespace {

constexpr size_t kMaxInflatedBytes = size_t{16} << 20;

uint32_t big_endian_number(std::string_view bytes, size_t at, int size) {
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

uint32_t little_endian_number(std::string_view bytes, size_t at) {
  return __builtin_bswap32(big_endian_number(bytes, at, 4));
}

/// The whole zlib stream, or nothing when it is broken, cut off or longer than allowed.
std::optional<std::string> inflated(std::string_view bytes) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int status = Z_OK;
  while (status == Z_OK && out.size() <= kMaxInflatedBytes) {
    char buffer[16384];
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof(buffer);
    status = ::inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof(buffer) - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || out.size() > kMaxInflatedBytes) return std::nullopt;
  return out;
}

/// Moves the part of `rest` before its first NUL out; nothing when there is no NUL.
std::optional<std::string_view> take_until_nul(std::string_view& rest) {
  const size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return part;
}

/// rest: the bytes behind the keyword. Layout: PNG specification, 11.3.3.
std::optional<std::string> text_of_chunk(std::string_view type, std::string_view rest) {
  if (type == "tEXt") return utf8_from_latin1(rest);
  if (type == "zTXt") {
    if (!rest.starts_with('\0')) return std::nullopt;  // 0: deflate, the only method there is
    const auto text = inflated(rest.substr(1));
    return text ? std::optional(utf8_from_latin1(*text)) : std::nullopt;
  }
  if (rest.size() < 2) return std::nullopt;
  const bool is_compressed = rest[0] == 1;
  rest.remove_prefix(2);
  if (!take_until_nul(rest) || !take_until_nul(rest))
    return std::nullopt;  // language, translated keyword
  const auto text = is_compressed ? inflated(rest) : std::optional(std::string(rest));
  return text ? std::optional(valid_utf8(*text)) : std::nullopt;
}

Exif png_metadata(std::string_view bytes) {
  Exif found;
  ImageText text;
  for (size_t at = 8; at + 12 <= bytes.size();) {
    const size_t size = big_endian_number(bytes, at, 4);
    if (at + 12 + size > bytes.size()) break;
    const std::string_view type = bytes.substr(at + 4, 4), data = bytes.substr(at + 8, size);
    const bool is_text = type == "tEXt" || type == "zTXt" || type == "iTXt";
    if (is_text || type == "eXIf") {
      const auto* begin = reinterpret_cast<const Bytef*>(bytes.data()) + at + 4;
      const auto checksum = ::crc32(0, begin, static_cast<uInt>(size + 4));
      if (checksum != big_endian_number(bytes, at + 8 + size, 4)) {
        at += 12 + size;
        continue;
      }
    }
    if (type == "eXIf") found = parse_exif(data);
    if (is_text) {
      std::string_view rest = data;
      const auto keyword = take_until_nul(rest);
      if (auto value = keyword ? text_of_chunk(type, rest) : std::nullopt) {
        text[utf8_from_latin1(*keyword)] = std::move(*value);
      }
    }
    at += 12 + size;
  }
  text.merge(found.text);  // a text chunk wins over the EXIF of the same name
  found.text = std::move(text);
  return found;
}

/// Segments up to the first scan: metadata stands before it.
Exif jpeg_metadata(std::string_view bytes) {
  constexpr uint8_t kApp1 = 0xE1, kStartOfScan = 0xDA, kEndOfImage = 0xD9;
  for (size_t at = 2; at + 4 <= bytes.size();) {
    if (static_cast<uint8_t>(bytes[at]) != 0xFF) break;
    const auto marker = static_cast<uint8_t>(bytes[at + 1]);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == kStartOfScan || marker == kEndOfImage) break;
    const size_t size = big_endian_number(bytes, at + 2, 2);
    if (size < 2 || at + 2 + size > bytes.size()) break;
    const std::string_view data = bytes.substr(at + 4, size - 2);
    if (marker == kApp1 && data.starts_with(std::string_view("Exif\0", 5))) return parse_exif(data);
    at += 2 + size;
  }
  return {};
}

Exif webp_metadata(std::string_view bytes) {
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const size_t size = little_endian_number(bytes, at + 4);
    if (at + 8 + size > bytes.size()) break;
    if (bytes.substr(at, 4) == "EXIF") return parse_exif(bytes.substr(at + 8, size));
    at += 8 + size + size % 2;
  }
  return {};
}

}  // namespace

Exif parse_image_metadata(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return png_metadata(bytes);
  if (bytes.starts_with("\xFF\xD8")) return jpeg_metadata(bytes);
  if (bytes.starts_with("RIFF") && bytes.size() > 12 && bytes.substr(8, 4) == "WEBP")
    return webp_metadata(bytes);
  return {};
}

}  // namespace fourstep
#endif
