#include "emoji/emoji_sources.h"

#include <fmt/ranges.h>
#include <ft2build.h>
#include FT_FREETYPE_H

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <pugixml.hpp>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fields.h"
#include "base/text_tools.h"

namespace fourstep {

namespace {

constexpr double kNewestVersion = 15.0;  // of emoji: what Debian 12's files and font know
constexpr char32_t kEmojiStyle = 0xFE0F;

/// One entry of emoji-test.txt.
struct Entry {
  std::vector<char32_t> codes;
  std::string_view status;
  double version = 0;
  std::string_view name;
};

std::string_view without_blanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

template <typename Number, typename... Format>
std::optional<Number> parse_whole(std::string_view text, Format... format) {
  Number number{};
  const char* end = std::to_address(text.end());
  const auto [stop, failure] =
      std::from_chars(std::to_address(text.begin()), end, number, format...);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return number;
}

/// "CODE CODE ; status # emoji E1.0 name", or nothing when the line is anything else.
std::optional<Entry> parse_entry(std::string_view line) {
  const size_t semicolon = line.find(';'), hash = line.find('#', semicolon);
  if (semicolon == std::string_view::npos || hash == std::string_view::npos) return std::nullopt;
  Entry entry;
  for (const std::string& text : split_text(without_blanks(line.substr(0, semicolon)), ' ')) {
    const auto code = parse_whole<uint32_t>(text, 16);
    if (!code || *code > 0x10FFFF) return std::nullopt;
    entry.codes.push_back(*code);
  }
  entry.status = without_blanks(line.substr(semicolon + 1, hash - semicolon - 1));
  const std::string_view comment = without_blanks(line.substr(hash + 1));
  const size_t version = comment.find(" E");
  const size_t name = comment.find(' ', version == std::string_view::npos ? version : version + 1);
  if (entry.codes.empty() || name == std::string_view::npos) return std::nullopt;
  const auto number = parse_whole<double>(comment.substr(version + 2, name - version - 2));
  entry.name = without_blanks(comment.substr(name));
  if (!number || entry.name.empty()) return std::nullopt;
  entry.version = *number;
  return entry;
}

/// Lower case, and the typewriter's apostrophe, which is what people type.
std::string plain_name(std::string_view name) {
  std::string plain;
  for (const char32_t c : decode_utf8(name)) {
    append_utf8(plain, c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c == U'\u2019' ? U'\'' : c);
  }
  return plain;
}

bool is_usable(const Entry& entry) {
  const bool is_one =
      entry.codes.size() == 1 || (entry.codes.size() == 2 && entry.codes[1] == kEmojiStyle);
  return is_one && entry.status == "fully-qualified" && entry.version <= kNewestVersion;
}

/// The value of "# group: value", or nothing.
std::optional<std::string> heading(std::string_view line, std::string_view key) {
  if (!line.starts_with(key)) return std::nullopt;
  return std::string(without_blanks(line.substr(key.size())));
}

void check_present(const std::filesystem::path& path, const char* what, const char* package) {
  if (std::filesystem::is_regular_file(path)) return;
  throw Error("read_emoji_list(\"{}\"): the file with {} is missing; install the Debian package {}",
              path.string(), what, package);
}

/// All usable emoji without their keywords.
std::vector<Emoji> read_names(const std::filesystem::path& path) {
  check_present(path, "the emoji's names", "unicode-data");
  std::ifstream in(path);
  std::vector<Emoji> list;
  std::set<std::string> names;
  std::string line, group, subgroup;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (const auto text = heading(line, "# group:")) {
      group = *text;
      subgroup.clear();
    }
    if (const auto text = heading(line, "# subgroup:")) subgroup = *text;
    if (without_blanks(line).empty() || line[0] == '#') continue;
    const auto entry = parse_entry(line);
    if (!entry) {
      throw Error(
          "read_emoji_list(\"{}\"): line {} is not \"CODE ; status # emoji E1.0 name\"; reinstall "
          "the Debian package unicode-data",
          path.string(), number);
    }
    std::string name = plain_name(entry->name);
    if (!is_usable(*entry) || !names.insert(name).second) continue;
    list.push_back({entry->codes[0], std::move(name), {}, group, subgroup});
  }
  if (list.empty()) {
    throw Error(
        "read_emoji_list(\"{}\"): no emoji in it; reinstall the Debian package unicode-data",
        path.string());
  }
  return list;
}

/// CLDR's keywords by code point.
std::map<char32_t, std::vector<std::string>> read_annotations(const std::filesystem::path& path) {
  check_present(path, "the emoji's keywords", "unicode-cldr-core");
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_file(path.c_str());
  const pugi::xml_node annotations = document.child("ldml").child("annotations");
  if (!result || !annotations) {
    throw Error("read_emoji_list(\"{}\"): {}; reinstall the Debian package unicode-cldr-core",
                path.string(), result ? "no element ldml/annotations" : result.description());
  }
  std::map<char32_t, std::vector<std::string>> keywords;
  for (const pugi::xml_node& node : annotations.children("annotation")) {
    const std::u32string code = decode_utf8(node.attribute("cp").value());
    if (code.size() != 1 || node.attribute("type")) continue;  // with a type it is the name
    keywords[code[0]] = split_text(node.child_value(), '|');
  }
  return keywords;
}

/// Those that are wanted, or of all groups with things that a caption names well; flags never.
void keep_sensible(std::vector<Emoji>& list, const std::vector<std::string>& wanted) {
  std::set<std::string> groups;
  for (const Emoji& emoji : list) groups.insert(emoji.group);
  if (const auto missing = wanted.empty() ? std::nullopt : keep_wanted(list, wanted)) {
    throw Error(
        "read_emoji_list: there is no emoji group, subgroup or name \"{}\"; groups: {}; subgroups "
        "and names are in Unicode's emoji-test.txt",
        *missing, fmt::join(groups, ", "));
  }
  std::erase_if(list, [&](const Emoji& emoji) {
    const bool is_odd = emoji.group == "Component" || emoji.group == "Symbols";
    return emoji.group == "Flags" || (wanted.empty() && is_odd);
  });
}

}  // namespace

std::vector<Emoji> read_emoji_list(const EmojiSources& sources,
                                   const std::vector<std::string>& wanted) {
  std::vector<Emoji> list = read_names(sources.emoji_test);
  auto keywords = read_annotations(sources.annotations);
  keep_sensible(list, wanted);
  for (Emoji& emoji : list) emoji.keywords = std::move(keywords[emoji.code]);
  select_keywords(list);
  return list;
}

namespace free_type {

struct CloseFace {
  void operator()(FT_Face face) const { FT_Done_Face(face); }
};
struct CloseLibrary {
  void operator()(FT_Library library) const { FT_Done_FreeType(library); }
};
using Face = std::unique_ptr<FT_FaceRec_, CloseFace>;
using Library = std::unique_ptr<FT_LibraryRec_, CloseLibrary>;

}  // namespace free_type

namespace {

using free_type::Face;
using free_type::Library;

constexpr unsigned kMaxGlyphSidePx = 1024;  // larger ones are broken fonts

Library open_library() {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw Error("EmojiFont: FreeType does not start");
  return Library(library);
}

Face open_face(FT_Library library, const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw Error(
        "EmojiFont(\"{}\"): the font with the emoji is missing; install the Debian package "
        "fonts-noto-color-emoji",
        path.string());
  }
  FT_Face face = nullptr;
  const FT_Error failure = FT_New_Face(library, path.c_str(), 0, &face);
  Face owner(face);
  // A bitmap font has fixed sizes, of which the first is taken; Noto's has one.
  if (failure != 0 || !FT_HAS_COLOR(face) || !FT_HAS_FIXED_SIZES(face) ||
      FT_Select_Size(face, 0) != 0) {
    throw Error(
        "EmojiFont(\"{}\"): not a font with colour bitmaps; take NotoColorEmoji.ttf of the Debian "
        "package fonts-noto-color-emoji",
        path.string());
  }
  return owner;
}

/// FreeType's BGRA rows as a tensor [h,w,4] in RGBA.
Tensor tensor_from_bitmap(const FT_Bitmap& bitmap) {
  const Tensor out = torch::empty({bitmap.rows, bitmap.width, 4}, torch::kUInt8);
  auto* to = out.mutable_data_ptr<uint8_t>();
  for (unsigned y = 0; y < bitmap.rows; ++y) {
    const unsigned char* from = bitmap.buffer + static_cast<ptrdiff_t>(y) * bitmap.pitch;
    for (unsigned x = 0; x < bitmap.width; ++x, from += 4, to += 4) {
      to[0] = from[2], to[1] = from[1], to[2] = from[0], to[3] = from[3];
    }
  }
  return out;
}

bool is_color_bitmap(const FT_Bitmap& bitmap) {
  return bitmap.pixel_mode == FT_PIXEL_MODE_BGRA && bitmap.rows > 0 && bitmap.width > 0 &&
         bitmap.rows <= kMaxGlyphSidePx && bitmap.width <= kMaxGlyphSidePx;
}

}  // namespace

struct EmojiFont::State {
  std::filesystem::path path;
  Library library;
  Face face;         // after the library: closed before it
  std::mutex mutex;  // FreeType's faces are for one thread at a time
  std::map<char32_t, Tensor> glyphs;
};

EmojiFont::EmojiFont(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->library = open_library();
  state_->face = open_face(state_->library.get(), path);
}

EmojiFont::~EmojiFont() = default;
EmojiFont::EmojiFont(EmojiFont&&) noexcept = default;
EmojiFont& EmojiFont::operator=(EmojiFont&&) noexcept = default;

bool EmojiFont::has(char32_t code) const {
  const std::lock_guard lock(state_->mutex);
  return FT_Get_Char_Index(state_->face.get(), code) != 0;
}

Tensor EmojiFont::glyph(char32_t code) const {
  const std::lock_guard lock(state_->mutex);
  if (const auto found = state_->glyphs.find(code); found != state_->glyphs.end()) {
    return found->second;
  }
  FT_Face face = state_->face.get();
  const FT_UInt index = FT_Get_Char_Index(face, code);
  if (index == 0 || FT_Load_Glyph(face, index, FT_LOAD_COLOR) != 0 ||
      !is_color_bitmap(face->glyph->bitmap)) {
    throw Error(
        "EmojiFont::glyph: \"{}\" has no picture of U+{:04X}; update the Debian package "
        "fonts-noto-color-emoji",
        state_->path.string(), static_cast<uint32_t>(code));
  }
  return state_->glyphs[code] = tensor_from_bitmap(face->glyph->bitmap);
}

}  // namespace fourstep
