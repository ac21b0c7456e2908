#pragma once
// A few emoji for tests that need neither Debian's files nor the font.

#include <string>
#include <vector>

#include "base/fields.h"
#include "emoji/emoji_list.h"

namespace fourstep::testing {

inline std::vector<std::string> default_groups() { return split_text(kDefaultEmojiGroups, ';'); }

inline std::vector<Emoji> small_emoji() {
  return {{U'\U0001F355', "pizza", {}, "Food & Drink", "food-prepared"},
          {U'\U0001F436', "dog face", {"dog's face"}, "Animals & Nature", "animal-mammal"},
          {U'\U0001F95A', "egg", {}, "Food & Drink", "food-prepared"},
          {U'\U0001F347', "grapes", {}, "Food & Drink", "food-fruit"},
          {U'\U0001F984', "unicorn", {}, "Animals & Nature", "animal-mammal"},
          {U'\U0001F369', "doughnut", {"donut"}, "Food & Drink", "food-sweet"},
          {U'\U0001F35E', "bread", {}, "Food & Drink", "food-prepared"},
          {U'\U0001F98A', "fox", {}, "Animals & Nature", "animal-mammal"}};
}

/// Many names that are no emoji's, for statistics.
inline std::vector<Emoji> many_emoji(int64_t count) {
  std::vector<Emoji> list(count);
  for (int64_t i = 0; i < count; ++i) list[i].name = "thing " + std::to_string(i);
  return list;
}

}  // namespace fourstep::testing
