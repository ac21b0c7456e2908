#include "io/zip_archive.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "io/text_encoding.h"

namespace fourstep {

namespace {

constexpr uint64_t kMaxEntries = 1'000'000;
constexpr uint64_t kMaxNameLength = 1024;

/// Little-endian numbers out of the file, never from beyond its end.
class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& where) : file_(file), where_(where) {}

  uint64_t size() const { return file_.size(); }

  uint64_t number(uint64_t position, size_t num_bytes) const {
    const std::string_view bytes = text(position, num_bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < num_bytes; ++i)
      value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    return value;
  }

  std::string_view text(uint64_t position, uint64_t length) const {
    if (position > size() || length > size() - position)
      fail("its directory points outside the file (truncated download?)");
    return {reinterpret_cast<const char*>(file_.data()) + position, static_cast<size_t>(length)};
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("{}: malformed zip file: {}", where_, what);
  }

 private:
  std::span<const std::byte> file_;
  const std::string& where_;
};

struct Directory {
  uint64_t num_entries = 0, num_bytes = 0, begin = 0;
};

/// Position of the end record, which a comment of up to 65535 bytes may follow.
uint64_t find_end_record(const Reader& file) {
  constexpr uint64_t kRecordBytes = 22, kMaxComment = 65535;
  constexpr std::string_view kSignature = "PK\x05\x06";
  const uint64_t tail = std::min(file.size(), kRecordBytes + kMaxComment);
  if (tail < kRecordBytes) file.fail("it is too short");
  const std::string_view text = file.text(file.size() - tail, tail);
  const size_t found = text.rfind(kSignature, tail - kRecordBytes);
  if (found == std::string_view::npos) file.fail("it has no directory (truncated download?)");
  return file.size() - tail + found;
}

Directory read_zip64_end_record(const Reader& file, uint64_t end_record) {
  constexpr uint64_t kLocatorBytes = 20;
  if (end_record < kLocatorBytes) file.fail("it has no zip64 directory");
  const uint64_t locator = end_record - kLocatorBytes;
  if (file.text(locator, 4) != "PK\x06\x07") file.fail("it has no zip64 directory");
  const uint64_t record = file.number(locator + 8, 8);
  if (file.text(record, 4) != "PK\x06\x06") file.fail("it has no zip64 directory");
  return {file.number(record + 32, 8), file.number(record + 40, 8), file.number(record + 48, 8)};
}

Directory find_directory(const Reader& file) {
  const uint64_t record = find_end_record(file);
  const uint64_t disk = file.number(record + 4, 2);
  if (disk != 0 && disk != 0xFFFF) file.fail("it is one part of several");
  const Directory small = {file.number(record + 10, 2), file.number(record + 12, 4),
                           file.number(record + 16, 4)};
  const bool is_zip64 =
      small.num_entries == 0xFFFF || small.num_bytes == 0xFFFFFFFF || small.begin == 0xFFFFFFFF;
  const Directory directory = is_zip64 ? read_zip64_end_record(file, record) : small;
  file.text(directory.begin, directory.num_bytes);  // throws when outside the file
  if (directory.num_entries > kMaxEntries) file.fail("it has more than a million entries");
  return directory;
}

/// A size or position of 32 bits, or the next 64-bit number of the zip64 field if it says so.
uint64_t widen(const Reader& file, uint64_t value, uint64_t& zip64_field, uint64_t field_end) {
  if (value != 0xFFFFFFFF) return value;
  if (zip64_field == 0 || zip64_field + 8 > field_end) file.fail("a zip64 size is missing");
  value = file.number(zip64_field, 8);
  zip64_field += 8;
  return value;
}

/// Begin and end of the contents of the zip64 extra field; zeros when there is none.
std::pair<uint64_t, uint64_t> find_zip64_field(const Reader& file, uint64_t begin,
                                               uint64_t length) {
  constexpr uint64_t kZip64 = 1;
  for (uint64_t at = begin; at + 4 <= begin + length;) {
    const uint64_t content = at + 4, content_length = file.number(at + 2, 2);
    if (content + content_length > begin + length) file.fail("an extra field is too long");
    if (file.number(at, 2) == kZip64) return {content, content + content_length};
    at = content + content_length;
  }
  return {0, 0};
}

void check_name(const Reader& file, std::string_view name) {
  const bool climbs = name == ".." || name.starts_with("../") || name.ends_with("/..") ||
                      name.find("/../") != std::string_view::npos;
  if (name.empty() || name.size() > kMaxNameLength || name[0] == '/' || climbs ||
      name.find_first_of(std::string_view("\\\0", 2)) != std::string_view::npos)
    file.fail("entry name " + printable(name) + " is not admitted");
}

/// The stored bytes, which follow the entry's local header.
ZipEntry locate(const Reader& file, uint64_t local_header, uint64_t num_bytes,
                std::string_view name) {
  constexpr uint64_t kLocalHeaderBytes = 30;
  if (file.text(local_header, 4) != "PK\x03\x04")
    file.fail("entry " + printable(name) + " is not where the directory says");
  const uint64_t name_length = file.number(local_header + 26, 2);
  const uint64_t extra_length = file.number(local_header + 28, 2);
  if (file.text(local_header + kLocalHeaderBytes, name_length) != name)
    file.fail("entry " + printable(name) + " has another name in its own header");
  const uint64_t begin = local_header + kLocalHeaderBytes + name_length + extra_length;
  file.text(begin, num_bytes);  // throws when outside the file
  return {begin, begin + num_bytes};
}

}  // namespace

std::map<std::string, ZipEntry> read_zip_directory(std::span<const std::byte> bytes,
                                                   const std::string& where) {
  constexpr uint64_t kHeaderBytes = 46;
  const Reader file(bytes, where);
  const Directory directory = find_directory(file);
  std::map<std::string, ZipEntry> entries;
  uint64_t at = directory.begin;
  for (uint64_t i = 0; i < directory.num_entries; ++i) {
    if (file.text(at, 4) != "PK\x01\x02") file.fail("its directory is damaged");
    const uint64_t name_length = file.number(at + 28, 2), extra_length = file.number(at + 30, 2);
    const std::string_view name = file.text(at + kHeaderBytes, name_length);
    check_name(file, name);
    const bool is_encrypted = file.number(at + 8, 2) & 1;
    if (is_encrypted) file.fail("entry " + printable(name) + " is encrypted");
    if (file.number(at + 10, 2) != 0)
      file.fail("entry " + printable(name) + " is compressed, which PyTorch never does");
    auto [field, field_end] = find_zip64_field(file, at + kHeaderBytes + name_length, extra_length);
    const uint64_t num_bytes = widen(file, file.number(at + 24, 4), field, field_end);
    const uint64_t stored_bytes = widen(file, file.number(at + 20, 4), field, field_end);
    const uint64_t local_header = widen(file, file.number(at + 42, 4), field, field_end);
    if (stored_bytes != num_bytes) file.fail("entry " + printable(name) + " has two sizes");
    const ZipEntry entry = locate(file, local_header, num_bytes, name);
    if (!entries.emplace(name, entry).second)
      file.fail("entry " + printable(name) + " is there twice");
    at += kHeaderBytes + name_length + extra_length + file.number(at + 32, 2);
  }
  return entries;
}

}  // namespace fourstep
