#include "data/english.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace fourstep {
namespace {

// Sorted. Masses and deeds among the names and keywords of emoji.
constexpr std::string_view kUncountable[] = {
    "bacon",          "baguette bread", "beer",           "bok choy",    "bread",
    "broccoli",       "bubble tea",     "butter",         "candy",       "canned food",
    "cheese",         "chocolate",      "coffee",         "cooked rice", "cooking",
    "coral",          "corn",           "curry",          "curry rice",  "custard",
    "cutlery",        "dango",          "falafel",        "fondue",      "french toast",
    "garlic",         "ginger root",    "honey",          "ice",         "ice cream",
    "jiaozi",         "lettuce",        "maize",          "mate",        "meat on bone",
    "milk",           "oden",           "paella",         "pasta",       "popcorn",
    "pouring liquid", "pudding",        "ramen",          "sake",        "salt",
    "shaved ice",     "soda",           "soft ice cream", "spaghetti",   "stew",
    "sushi",          "tempura",        "whisky",         "wine",
};
// Sorted. Singular though they end in s; those in -ss, -us and -is are known by their ending.
constexpr std::string_view kSingularInS[] = {"gas", "lens", "moses", "rhinoceros"};

static_assert(std::is_sorted(std::begin(kUncountable), std::end(kUncountable)) &&
              std::is_sorted(std::begin(kSingularInS), std::end(kSingularInS)));

template <typename Words>
bool contains(const Words& sorted, std::string_view word) {
  return std::binary_search(std::begin(sorted), std::end(sorted), word);
}

/// The word that says what it is: the last one before "of", "with" and the like.
std::string_view head_word(std::string_view noun) {
  for (const std::string_view link :
       {" of ", " with ", " without ", " in ", " on ", " and ", " showing "}) {
    noun = noun.substr(0, noun.find(link));
  }
  return noun.substr(noun.rfind(' ') + 1);  // npos + 1 is 0
}

}  // namespace

bool is_without_article(std::string_view noun) {
  if (contains(kUncountable, noun)) return true;
  const std::string_view head = head_word(noun);
  const bool has_singular_ending =
      head.ends_with("ss") || head.ends_with("us") || head.ends_with("is") || head.ends_with("'s");
  return head.ends_with('s') && !has_singular_ending && !contains(kSingularInS, head);
}

std::string_view indefinite_article(std::string_view phrase) {
  for (const std::string_view sounds_like_y : {"ewe", "eu", "one", "once", "uku", "unicorn",
                                               "unicycle", "uniform", "unit", "univers", "us"}) {
    if (phrase.starts_with(sounds_like_y)) return "a";
  }
  const bool is_vowel =
      !phrase.empty() && std::string_view("aeiou").find(phrase[0]) != std::string_view::npos;
  return is_vowel || phrase.starts_with("hour") || phrase.starts_with("x-") ? "an" : "a";
}

std::string noun_phrase(std::string_view adjective, std::string_view noun) {
  const std::string phrase =
      adjective.empty() ? std::string(noun) : fmt::format("{} {}", adjective, noun);
  if (is_without_article(noun)) return phrase;
  return fmt::format("{} {}", indefinite_article(phrase), phrase);
}

}  // namespace fourstep
