#pragma once
// The emoji that pictures are made of: names and order from Unicode's emoji-test.txt, further words from
// CLDR's English annotations. Both are files of Debian packages.

#include <filesystem>
#include <string>
#include <vector>

namespace fourstep {

struct Emoji {
  char32_t code = 0;                  ///< its only code point (a variation selector aside)
  std::string name;                   ///< Unicode's short name in lower case: "pizza", "dog face"
  std::vector<std::string> keywords;  ///< other wordings, see select_keywords(); may be empty
  std::string group;                  ///< "Food & Drink"
  std::string subgroup;               ///< "food-prepared"
};

/// Where Debian puts the files.
struct EmojiSources {
  std::filesystem::path emoji_test =
      "/usr/share/unicode/emoji/emoji-test.txt";  ///< package unicode-data
  std::filesystem::path annotations =
      "/usr/share/unicode/cldr/common/annotations/en.xml";  ///< unicode-cldr-core
  std::filesystem::path font =
      "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";  ///< fonts-noto-color-emoji
};

/// Groups of emoji-test.txt with things that a caption names well, separated by ';'.
constexpr const char* kDefaultEmojiGroups = "Food & Drink;Animals & Nature";

/// The emoji whose group, subgroup or name is `wanted`, in the order of emoji-test.txt: fully qualified, of one code
/// point (so without skin tones and sequences), no flags, each name once. Nothing wanted: all but Component, Flags and
/// Symbols. Emoji newer than version 15.0 are left out, so that all releases of Debian from 12 on give the same list.
/// Throws Error when a file is missing (naming the package), a line or the XML is malformed, or nothing is called so.
std::vector<Emoji> read_emoji_list(const EmojiSources& sources,
                                   const std::vector<std::string>& wanted);

}  // namespace fourstep
