#include "io/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/error.h"
#include "io/mapped_file.h"
#include "io/tensor_file.h"
#include "io/text_encoding.h"

namespace fourstep {

namespace {

/// Where in the JSON text the parser is.
enum class Place { kTop, kMetadata, kEntry, kShape, kOffsets, kIgnored };
/// What the value that follows the last key is.
enum class Member { kMetadata, kEntry, kText, kDtype, kShape, kOffsets, kIgnored };

/// Receives the JSON text piece by piece, so that names given twice, the depth and the spelling of
/// numbers are seen (a parsed document would have lost them) and nothing unneeded is stored.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderHandler(SafetensorsHeader& header, const std::string& file)
      : header_(header), file_(file) {}

  bool null() override {
    const bool is_absent_metadata = in(Place::kTop) && member_ == Member::kMetadata;
    return is_absent_metadata || ignore("null");
  }
  bool boolean(bool) override { return ignore("true or false"); }
  bool number_integer(number_integer_t) override { return ignore("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return ignore("a number that is not an unsigned 64-bit integer");
  }
  bool binary(binary_t&) override { return ignore("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (in(Place::kShape)) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        fail("dimension {} is too large", value);
      entry_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (!in(Place::kOffsets)) return ignore("a number");
    if (num_offsets_ == 2) fail("data_offsets has more than two numbers");
    (num_offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    return true;
  }

  bool string(string_t& value) override {
    if (in(Place::kMetadata)) {
      if (!header_.metadata.emplace(name_, std::move(value)).second)
        throw Error("safetensors file \"{}\": metadata key {} is there twice", file_,
                    printable(name_));
      return true;
    }
    if (!in(Place::kEntry) || member_ != Member::kDtype) return ignore("a text");
    if (!find_file_dtype(std::string_view(value))) fail("unknown dtype {}", printable(value));
    entry_.dtype = std::move(value);
    return true;
  }

  bool key(string_t& key) override {
    if (in(Place::kTop)) {
      begin_top_member(key);
    } else if (in(Place::kMetadata)) {
      name_ = std::move(key);
    } else if (in(Place::kEntry)) {
      begin_entry_member(key);
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (places_.empty()) return enter(Place::kTop);
    if (in(Place::kTop))
      return enter(member_ == Member::kMetadata ? Place::kMetadata : Place::kEntry);
    return ignore("an object") && enter(Place::kIgnored);
  }

  bool start_array(std::size_t) override {
    if (places_.empty()) fail_file("the header is a list, expected an object");
    if (in(Place::kEntry) && member_ == Member::kShape) return enter(Place::kShape);
    if (in(Place::kEntry) && member_ == Member::kOffsets) return enter(Place::kOffsets);
    return ignore("a list") && enter(Place::kIgnored);
  }

  bool end_object() override {
    if (in(Place::kEntry)) end_entry();
    places_.pop_back();
    return true;
  }

  bool end_array() override {
    if (in(Place::kOffsets) && num_offsets_ != 2) fail("data_offsets has fewer than two numbers");
    places_.pop_back();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail_file("the header is not valid JSON (at byte {} of it)", position);
  }

 private:
  bool in(Place place) const { return !places_.empty() && places_.back() == place; }

  template <typename... Args>
  [[noreturn]] void fail_file(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error("safetensors file \"{}\": {}", file_,
                fmt::format(format, std::forward<Args>(args)...));
  }

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error("safetensors file \"{}\": entry {}: {}", file_, printable(name_),
                fmt::format(format, std::forward<Args>(args)...));
  }

  /// Values of unknown members of an entry are skipped; anywhere else `what` is out of place.
  bool ignore(const char* what) const {
    if (places_.empty()) fail_file("the header is {}, expected an object", what);
    const bool skipped = in(Place::kIgnored) || (in(Place::kEntry) && member_ == Member::kIgnored);
    if (!skipped) fail("{} where the format has none", what);
    return true;
  }

  bool enter(Place place) {
    if (places_.size() >= kMaxJsonDepth) fail("nested deeper than {} levels", kMaxJsonDepth);
    places_.push_back(place);
    return true;
  }

  void begin_top_member(std::string& key) {
    name_ = std::move(key);
    if (name_ == "__metadata__") {
      if (std::exchange(has_metadata_, true)) fail("is there twice");
      member_ = Member::kMetadata;
      return;
    }
    if (name_.size() > kMaxNameBytes) fail("the name is longer than {} bytes", kMaxNameBytes);
    if (name_.find('\0') != std::string::npos) fail("the name contains a NUL character");
    if (header_.entries.count(name_)) fail("is there twice");
    if (header_.entries.size() >= kMaxTensors) fail_file("more than {} tensors", kMaxTensors);
    member_ = Member::kEntry;
    entry_ = {};
    has_dtype_ = has_shape_ = has_offsets_ = false;
    num_offsets_ = 0;
  }

  void begin_entry_member(const std::string& key) {
    const auto begin = [&](Member member, bool& seen) {
      if (std::exchange(seen, true)) fail("{} is there twice", key);
      member_ = member;
    };
    member_ = Member::kIgnored;
    if (key == "dtype") begin(Member::kDtype, has_dtype_);
    if (key == "shape") begin(Member::kShape, has_shape_);
    if (key == "data_offsets") begin(Member::kOffsets, has_offsets_);
  }

  void end_entry() {
    if (!has_dtype_ || !has_shape_ || !has_offsets_)
      fail("lacks {}", !has_dtype_ ? "dtype" : !has_shape_ ? "shape" : "data_offsets");
    header_.entries.emplace(name_, std::move(entry_));
  }

  SafetensorsHeader& header_;
  const std::string& file_;
  std::vector<Place> places_;
  Member member_ = Member::kIgnored;
  std::string name_;
  SafetensorsEntry entry_;
  bool has_metadata_ = false, has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  int num_offsets_ = 0;
};

/// The length of the JSON text. Throws unless it fits the format's limit and the file.
uint64_t read_header_length(std::span<const std::byte> head, uint64_t file_bytes,
                            const std::string& file) {
  constexpr uint64_t kPrefix = sizeof(uint64_t);
  if (file_bytes < kPrefix || head.size() < kPrefix)
    throw Error("safetensors file \"{}\": {} bytes long, too short for a header", file, file_bytes);
  uint64_t length = 0;
  for (size_t i = 0; i < kPrefix; ++i) length |= std::to_integer<uint64_t>(head[i]) << (8 * i);
  if (length > kMaxHeaderBytes)
    throw Error("safetensors file \"{}\": header length {} is above the limit {}; not safetensors?",
                file, length, kMaxHeaderBytes);
  if (length > file_bytes - kPrefix || length > head.size() - kPrefix)
    throw Error(
        "safetensors file \"{}\": the header needs {} bytes, the file has {}; "
        "truncated download?",
        file, kPrefix + length, file_bytes);
  return length;
}

SafetensorsHeader parse_json(std::string_view text, const std::string& file) {
  SafetensorsHeader header;
  // The JSON library would skip a byte order mark, and take NUL for the end of the text.
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{')
    throw Error("safetensors file \"{}\": the header is not a JSON object", file);
  if (text.find('\0') != std::string_view::npos)
    throw Error("safetensors file \"{}\": the header contains a NUL byte", file);
  HeaderHandler handler(header, file);
  nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
  return header;
}

/// Bytes of an entry's values by its shape. The product runs from left to right as in the
/// reference: a zero behind an overflow does not save it.
uint64_t checked_bytes(const SafetensorsEntry& entry, const std::string& where) {
  uint64_t bits = 1;
  bool overflow = false;
  for (const int64_t length : entry.shape)
    overflow |= __builtin_mul_overflow(bits, static_cast<uint64_t>(length), &bits);
  const auto item_bits = static_cast<uint64_t>(find_file_dtype(entry.dtype)->bits);
  overflow |= __builtin_mul_overflow(bits, item_bits, &bits);
  if (overflow) throw Error("{}: shape {} overflows", where, to_string(entry.shape));
  if (bits % 8 != 0)
    throw Error("{}: {} values of shape {} do not fill whole bytes", where, entry.dtype,
                to_string(entry.shape));
  return bits / 8;
}

/// Tensors must follow each other without hole or overlap and fill the data area exactly.
void check_layout(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& file) {
  using Item = std::pair<const std::string, SafetensorsEntry>;
  std::vector<const Item*> items;
  for (const Item& item : header.entries) items.push_back(&item);
  std::sort(items.begin(), items.end(), [](const Item* a, const Item* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t previous_end = 0;
  for (const Item* item : items) {
    const SafetensorsEntry& entry = item->second;
    const std::string where =
        fmt::format("safetensors file \"{}\": entry {}", file, printable(item->first));
    if (entry.begin != previous_end || entry.end < entry.begin)
      throw Error("{}: data at {} to {}, expected it to begin at {} (hole or overlap)", where,
                  entry.begin, entry.end, previous_end);
    const uint64_t expected = checked_bytes(entry, where);
    if (entry.end - entry.begin != expected)
      throw Error("{}: {} bytes of data, expected {} for {} {}", where, entry.end - entry.begin,
                  expected, entry.dtype, to_string(entry.shape));
    previous_end = entry.end;
  }
  if (previous_end != data_bytes)
    throw Error("safetensors file \"{}\": {} bytes of data, expected {}; {}", file, data_bytes,
                previous_end,
                data_bytes < previous_end ? "truncated download?" : "bytes after the last tensor");
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> head, uint64_t file_bytes,
                                           const std::string& name) {
  const uint64_t length = read_header_length(head, file_bytes, name);
  const std::string_view text(reinterpret_cast<const char*>(head.data()) + sizeof(uint64_t),
                              length);
  SafetensorsHeader header = parse_json(text, name);
  header.data_offset = sizeof(uint64_t) + length;
  check_layout(header, file_bytes - header.data_offset, name);
  return header;
}

SafetensorsHeader read_safetensors_header(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path, "read_safetensors_header");
  return parse_safetensors_header(file->bytes(), file->bytes().size(), path.string());
}

}  // namespace fourstep
