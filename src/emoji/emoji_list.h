#pragma once
// The emoji that pictures are made of: which ones, and what captions call them.

#include <filesystem>
#include <optional>
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

/// Groups of emoji-test.txt with things that a caption names well, separated by ';'.
constexpr const char* kDefaultEmojiGroups = "Food & Drink;Animals & Nature";

/// Metadata of models that learned drawn emoji: their TrainConfig::emoji_groups.
constexpr const char* kEmojiGroupsKey = "fourstep.emoji_groups";

/// Keeps the emoji whose group, subgroup or name is one of `wanted`. Returns one of `wanted` that
/// none has.
std::optional<std::string> keep_wanted(std::vector<Emoji>& list,
                                       const std::vector<std::string>& wanted);

/// `groups`, else those of the metadata of `model` (a path; may be empty), else the default ones.
/// Throws Error when the model cannot be read.
std::string emoji_groups_of(const std::string& groups, const std::filesystem::path& model);

/// Replaces the keywords of each emoji by at most three other wordings of its name:
///   - "dog's face" for "dog face", of animals;
///   - keywords that name the thing itself ("burger", not "lunch": a list in the source, as CLDR
///     does not tell
///     the two apart), if no other emoji of the list has the keyword, or if it is a word of this
///     name alone
///     ("cheese" of "cheese wedge"), and if it is not the name of another emoji.
void select_keywords(std::vector<Emoji>& list);

}  // namespace fourstep
