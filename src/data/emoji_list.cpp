#include "data/emoji_list.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <pugixml.hpp>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/fields.h"
#include "base/utf8.h"
#include "data/emoji_choice.h"
#include "data/emoji_keywords.h"

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

}  // namespace fourstep
