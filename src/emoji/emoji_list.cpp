#include "emoji/emoji_list.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/fields.h"
#include "io/checkpoint.h"

namespace fourstep {

std::optional<std::string> keep_wanted(std::vector<Emoji>& list,
                                       const std::vector<std::string>& wanted) {
  std::set<std::string> missing(wanted.begin(), wanted.end());
  std::erase_if(list, [&](const Emoji& emoji) {
    bool is_wanted = false;
    for (const std::string& text : wanted) {
      if (text != emoji.group && text != emoji.subgroup && text != emoji.name) continue;
      is_wanted = true;
      missing.erase(text);
    }
    return !is_wanted;
  });
  if (missing.empty()) return std::nullopt;
  return *missing.begin();
}

std::string emoji_groups_of(const std::string& groups, const std::filesystem::path& model) {
  if (!groups.empty()) return groups;
  if (!model.empty()) {
    const Checkpoint checkpoint = open_checkpoint(model);
    const auto found = checkpoint.metadata.find(kEmojiGroupsKey);
    if (found != checkpoint.metadata.end()) return found->second;
  }
  return kDefaultEmojiGroups;
}

namespace {

constexpr size_t kMaxKeywords = 3;

// Sorted. CLDR's keywords are for searching: most are properties ("curious"), uses or signs of the
// zodiac.
constexpr std::string_view kNamingWords[] = {
    "alpaca",       "aubergine",   "baguette",  "bee",       "bento",       "bok choy",
    "brontosaurus", "bull",        "burger",    "capsicum",  "casserole",   "cheese",
    "chocolate",    "clover",      "cocktail",  "coffee",    "corn",        "curry",
    "cutlery",      "donut",       "dromedary", "drumstick", "earthworm",   "frankfurter",
    "fries",        "grasshopper", "gyro",      "hippo",     "honey",       "hotdog",
    "ice cube",     "jiaozi",      "jug",       "kiwi",      "ladybird",    "ladybug",
    "lettuce",      "maize",       "milk",      "orange",    "oyster pail", "paella",
    "palm",         "pasta",       "pita",      "plate",     "potsticker",  "prawn",
    "pudding",      "racehorse",   "ramen",     "roach",     "salad",       "sausage",
    "sea lion",     "serpent",     "shell",     "soda",      "squirrel",    "steak",
    "stew",         "teacup",      "tempura",   "toadstool", "tortoise",    "tumbler",
    "web",          "whisky",      "wine",
};

static_assert(std::is_sorted(std::begin(kNamingWords), std::end(kNamingWords)));

/// How many emoji have a keyword, and how many a word in their name.
struct Counts {
  std::map<std::string, int64_t> keywords, name_words;
  std::set<std::string> names;
};

Counts count_words(const std::vector<Emoji>& list) {
  Counts counts;
  for (const Emoji& emoji : list) {
    counts.names.insert(emoji.name);
    for (const std::string& keyword : emoji.keywords) ++counts.keywords[keyword];
    for (const std::string& word : split_text(emoji.name, ' ')) ++counts.name_words[word];
  }
  return counts;
}

bool has_word(const std::string& name, const std::string& word) {
  const std::vector<std::string> words = split_text(name, ' ');
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_wording(const std::string& keyword, const Emoji& emoji, const Counts& counts) {
  if (!std::binary_search(std::begin(kNamingWords), std::end(kNamingWords), keyword)) return false;
  if (counts.names.contains(keyword)) return false;
  return counts.keywords.at(keyword) == 1 ||
         (has_word(emoji.name, keyword) && counts.name_words.at(keyword) == 1);
}

std::vector<std::string> wordings(const Emoji& emoji, const Counts& counts) {
  constexpr std::string_view kFace = " face";
  std::vector<std::string> words;
  // Those of people are no one's: "grinning face".
  if (emoji.group == "Animals & Nature" && emoji.name.ends_with(kFace)) {
    words.push_back(emoji.name.substr(0, emoji.name.size() - kFace.size()) + "'s face");
  }
  for (const std::string& keyword : emoji.keywords) {
    if (words.size() < kMaxKeywords && is_wording(keyword, emoji, counts)) words.push_back(keyword);
  }
  return words;
}

}  // namespace

void select_keywords(std::vector<Emoji>& list) {
  const Counts counts = count_words(list);
  for (Emoji& emoji : list) emoji.keywords = wordings(emoji, counts);
}

}  // namespace fourstep
