#include "io/exif.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "io/text_encoding.h"

namespace fourstep {
namespace {

constexpr std::string_view kPrefix{"Exif\0\0", 6};
constexpr std::string_view kUnicode{"UNICODE\0", 8};
constexpr std::string_view kAscii{"ASCII\0\0\0", 8};
constexpr std::string_view kUndefined{"\0\0\0\0\0\0\0\0", 8};
constexpr std::string_view kJis{"JIS\0\0\0\0\0", 8};

constexpr uint16_t kFirstTextTag = 0x0100, kLastTextTag = 0x0110;
constexpr uint16_t kOrientationTag = 0x0112, kExifPointerTag = 0x8769, kUserCommentTag = 0x9286;
/// Texts that have a tag of their own (Exif 2.32, tables 4 and 5), under the standard's names.
constexpr std::pair<uint16_t, const char*> kNamedTags[] = {{0x010E, "ImageDescription"},
                                                           {0x0131, "Software"},
                                                           {0x0132, "DateTime"},
                                                           {0x013B, "Artist"},
                                                           {0x8298, "Copyright"}};
constexpr uint16_t kAsciiType = 2, kShortType = 3, kLongType = 4, kUndefinedType = 7;

/// Bytes per element of the TIFF types 1..12.
constexpr uint64_t kTypeBytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8};

struct Tiff {
  std::string_view bytes;
  bool big_endian = false;

  /// An unsigned number of `size` (at most 4) bytes; 0 outside the block.
  uint32_t number(uint64_t offset, int size) const {
    if (offset + size > bytes.size()) return 0;
    uint32_t value = 0;
    for (int i = 0; i < size; ++i) {
      const auto byte = static_cast<uint8_t>(bytes[offset + (big_endian ? i : size - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  }
};

struct Entry {
  uint16_t tag = 0;
  uint16_t type = 0;
  std::string_view data;  ///< empty when it lies outside the block
};

std::vector<Entry> directory_at(const Tiff& tiff, uint64_t offset) {
  std::vector<Entry> entries;
  const uint32_t count = tiff.number(offset, 2);
  for (uint64_t at = offset + 2; entries.size() < count && at + 12 <= tiff.bytes.size(); at += 12) {
    Entry entry;
    entry.tag = static_cast<uint16_t>(tiff.number(at, 2));
    entry.type = static_cast<uint16_t>(tiff.number(at + 2, 2));
    if (entry.type < std::size(kTypeBytes)) {
      const uint64_t size = kTypeBytes[entry.type] * tiff.number(at + 4, 4);
      const uint64_t where = size <= 4 ? at + 8 : tiff.number(at + 8, 4);
      if (where + size <= tiff.bytes.size()) entry.data = tiff.bytes.substr(where, size);
    }
    entries.push_back(entry);
  }
  return entries;
}

std::string_view without_trailing_nuls(std::string_view text) {
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  return text;
}

/// Infotext always holds ASCII (keys, blanks), so the order that shows more of it is the right one.
bool is_big_endian_utf16(std::string_view bytes, bool when_undecided) {
  size_t big = 0, little = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const auto is_ascii = [](char c) { return c >= 9 && c < 127; };
    if (bytes[i] == 0 && is_ascii(bytes[i + 1])) ++big;
    if (bytes[i + 1] == 0 && is_ascii(bytes[i])) ++little;
  }
  return big == little ? when_undecided : big > little;
}

std::string decode_utf16(std::string_view bytes, bool block_is_big_endian) {
  if (bytes.starts_with("\xFE\xFF")) return utf8_from_utf16(bytes.substr(2), true);
  if (bytes.starts_with("\xFF\xFE")) return utf8_from_utf16(bytes.substr(2), false);
  return utf8_from_utf16(bytes, is_big_endian_utf16(bytes, block_is_big_endian));
}

/// Writers that claim ASCII put UTF-8 or Latin-1 there all the same.
std::string decode_bytes(std::string_view bytes) {
  return is_utf8(bytes) ? std::string(bytes) : utf8_from_latin1(bytes);
}

std::string decode_user_comment(std::string_view data, bool block_is_big_endian) {
  std::string text;
  if (data.starts_with(kUnicode)) {
    text = decode_utf16(data.substr(8), block_is_big_endian);
  } else if (data.starts_with(kAscii) || data.starts_with(kUndefined)) {
    text = decode_bytes(data.substr(8));
  } else if (!data.starts_with(kJis)) {  // no table for JIS; other bytes are text without a code
    text = decode_bytes(data);
  }
  return std::string(without_trailing_nuls(text));
}

/// ComfyUI's "name:{json}", and "name:"text"" of make_exif(); false for everything else, which is
/// the camera's.
bool add_named_text(ImageText& text, std::string_view value) {
  const size_t colon = value.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon + 1 == value.size()) return false;
  const std::string name = decode_bytes(value.substr(0, colon));
  const std::string_view content = value.substr(colon + 1);
  if (content[0] == '"') {
    const auto json = nlohmann::json::parse(content, nullptr, /*allow_exceptions=*/false);
    if (!json.is_string()) return false;
    text[name] = json.get<std::string>();
    return true;
  }
  if (content[0] != '{' && content[0] != '[') return false;
  text[name] = decode_bytes(content);
  return true;
}

/// entry: an ASCII text of the first directory.
void add_text(ImageText& text, const Entry& entry) {
  const std::string_view value = without_trailing_nuls(entry.data);
  const bool is_text_tag = entry.tag >= kFirstTextTag && entry.tag <= kLastTextTag;
  if (value.empty() || (is_text_tag && add_named_text(text, value))) return;
  for (const auto& [tag, name] : kNamedTags) {
    if (tag == entry.tag) text[name] = decode_bytes(value);
  }
}

void append_number(std::string& out, uint32_t value, int size) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift & 0xFF));
  }
}

struct OutEntry {
  uint16_t tag, type;
  std::string data;
};

/// Appends a directory at the end of `out` (its offset is out.size()), then the data that does not
/// fit into the entries. entries: in rising order of their tags.
void append_directory(std::string& out, const std::vector<OutEntry>& entries) {
  const size_t data_begin = out.size() + 2 + 12 * entries.size() + 4;
  std::string data;
  append_number(out, static_cast<uint32_t>(entries.size()), 2);
  for (const OutEntry& entry : entries) {
    const size_t size = entry.data.size();
    append_number(out, entry.tag, 2);
    append_number(out, entry.type, 2);
    append_number(out, static_cast<uint32_t>(entry.type == kLongType ? size / 4 : size), 4);
    if (size <= 4) {
      out += entry.data + std::string(4 - size, '\0');
      continue;
    }
    append_number(out, static_cast<uint32_t>(data_begin + data.size()), 4);
    data += entry.data;
    if (data.size() % 2) data.push_back('\0');  // TIFF: offsets are even
  }
  append_number(out, 0, 4);  // no further directory
  out += data;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

bool is_fit_name(const std::string& name) {
  return !name.empty() && name.find_first_of(std::string_view(":\0", 2)) == std::string::npos;
}

/// What follows "name:".
std::string json_of(const std::string& value) {
  if (value.starts_with('{') || value.starts_with('[')) return text_without_nuls(value);
  return nlohmann::json(text_without_nuls(value)).dump();
}

/// One directory entry per text but "parameters", in rising order of the tags; nothing when they do
/// not fit.
std::optional<std::vector<OutEntry>> named_text_entries(const ImageText& text) {
  std::vector<OutEntry> entries;
  std::set<uint16_t> used;
  const auto add = [&](uint16_t tag, const std::string& value) {
    used.insert(tag);
    entries.push_back({tag, kAsciiType, value + '\0'});
  };
  for (const auto& [tag, name] : kNamedTags) {
    const auto found = text.find(name);
    if (found != text.end() && !found->second.empty()) add(tag, text_without_nuls(found->second));
  }
  uint16_t next_tag = kLastTextTag - 1;
  for (const auto& [name, value] : text) {
    const bool is_named =
        std::any_of(std::begin(kNamedTags), std::end(kNamedTags),
                    [&, &name = name](const auto& row) { return name == row.second; });
    if (name == "parameters" || is_named) continue;
    while (used.count(next_tag)) --next_tag;
    const uint16_t tag = name == "prompt" ? kLastTextTag : next_tag;
    if (!is_fit_name(name) || tag < kFirstTextTag) return std::nullopt;
    add(tag, valid_utf8(name) + ":" + json_of(value));
  }
  std::sort(entries.begin(), entries.end(),
            [](const OutEntry& a, const OutEntry& b) { return a.tag < b.tag; });
  return entries;
}

/// comment: with its code; no UserComment when it is empty.
std::string block_of(std::vector<OutEntry> entries, const std::string& comment) {
  const std::string head("MM\0*\0\0\0\x08", 8);
  std::string block = head;
  if (comment.empty()) {
    append_directory(block, entries);
    return block;
  }
  entries.push_back({kExifPointerTag, kLongType, std::string(4, '\0')});  // above all other tags
  append_directory(block, entries);
  const auto exif_offset = static_cast<uint32_t>(block.size());  // behind the first directory
  entries.back().data.clear();
  append_number(entries.back().data, exif_offset, 4);
  block = head;
  append_directory(block, entries);
  append_directory(block, {{kUserCommentTag, kUndefinedType, comment}});
  return block;
}

}  // namespace

Exif parse_exif(std::string_view block) {
  Exif exif;
  if (block.starts_with(kPrefix)) block.remove_prefix(kPrefix.size());
  if (!block.starts_with("MM") && !block.starts_with("II")) return exif;
  const Tiff tiff{block, block.starts_with("MM")};
  for (const Entry& entry : directory_at(tiff, tiff.number(4, 4))) {
    const Tiff value{entry.data, tiff.big_endian};
    if (entry.tag == kOrientationTag && entry.type == kShortType) {
      const auto orientation = static_cast<int>(value.number(0, 2));
      if (orientation >= 1 && orientation <= 8) exif.orientation = orientation;
    } else if (entry.tag == kExifPointerTag) {
      for (const Entry& inner : directory_at(tiff, value.number(0, 4))) {
        if (inner.tag != kUserCommentTag) continue;
        const std::string comment = decode_user_comment(inner.data, tiff.big_endian);
        if (!comment.empty()) exif.text["parameters"] = comment;
      }
    } else if (entry.type == kAsciiType) {
      add_text(exif.text, entry);
    }
  }
  return exif;
}

std::optional<std::string> make_exif(const ImageText& text, size_t max_bytes) {
  const auto entries = named_text_entries(text);
  if (!entries) return std::nullopt;
  const auto found = text.find("parameters");
  const std::string comment = found == text.end() ? "" : text_without_nuls(found->second);
  if (entries->empty() && comment.empty()) return "";
  std::string block =
      block_of(*entries, comment.empty() ? "" : std::string(kUnicode) + utf16be_from_utf8(comment));
  if (block.size() > max_bytes && is_ascii(comment)) {
    block = block_of(*entries, std::string(kAscii) + comment);
  }
  if (block.size() > max_bytes) return std::nullopt;
  return block;
}

}  // namespace fourstep
