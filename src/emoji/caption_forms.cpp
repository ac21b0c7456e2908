#include "emoji/caption_forms.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <iterator>

namespace fourstep {

namespace {

constexpr Form kSingle[] = {
    {"{thing}{place}{on}{background}", 8},
    {"a picture of {thing}{place}{on}{background}", 2},
    {"a picture of {thing}{place}{on}{color}", 1},
    {"an emoji of {thing}{place}{on}{background}", 1},
    {"{bare} emoji{place}{on}{background}", 2},
    {"{thing}{place}{on}{color}", 2},
    {"{bare}{place}, {background_bare}", 3},
    {"{background} with {thing}{place}", 2},
    {"{thing}{place}", 1},
    {"{bare}{place}", 1},
};
constexpr Form kPair[] = {
    {"{thing}, on {background}", 8},  {"a picture of {thing}, on {background}", 2},
    {"{thing}, on {color}", 2},       {"{bare}, {background_bare}", 3},
    {"{background} with {thing}", 2}, {"{thing}", 1},
};

constexpr Form kLeftOf[] = {{"{x} to the left of {y}", 6},
                            {"{x} left of {y}", 2},
                            {"{x} on the left and {y} on the right", 2}};
constexpr Form kRightOf[] = {{"{x} to the right of {y}", 6},
                             {"{x} right of {y}", 2},
                             {"{x} on the right and {y} on the left", 2}};
constexpr Form kAbove[] = {
    {"{x} above {y}", 6}, {"{x} over {y}", 2}, {"{x} at the top and {y} at the bottom", 2}};
constexpr Form kBelow[] = {
    {"{x} below {y}", 6}, {"{x} under {y}", 2}, {"{x} at the bottom and {y} at the top", 2}};

constexpr Form kPlain[] = {{"{a_first} background", 8}, {"a plain {first} background", 1}};
constexpr Form kGradient[] = {
    {"a background that fades from {first} to {second}", 5},
    {"a background that fades from {first} {at_first} to {second} {at_second}", 2},
    {"{a_first} to {second} gradient", 2}};
constexpr Form kTwoTone[] = {
    {"a half {first}, half {second} background", 5},
    {"a background that is {first} {at_first} and {second} {at_second}", 2},
    {"{a_first} and {second} background", 2}};
constexpr std::string_view kBareBackgrounds[] = {
    "{first} background", "{first} to {second} gradient", "half {first}, half {second} background"};
constexpr std::string_view kColorsOnly[] = {"{first}", "{a_first} to {second} gradient",
                                            "{first} and {second}"};

constexpr Form kSmall[] = {{"small", 4}, {"little", 1}, {"tiny", 1}};
constexpr Form kLarge[] = {{"large", 4}, {"big", 2}, {"huge", 1}};

constexpr std::string_view kPlaces[3][3] = {
    {" in the top left corner", " at the top", " in the top right corner"},
    {" on the left side", "", " on the right side"},
    {" in the bottom left corner", " at the bottom", " in the bottom right corner"}};
constexpr std::string_view kEnds[2][2] = {{"on the left", "on the right"},
                                          {"at the top", "at the bottom"}};

}  // namespace

std::span<const Form> single_forms() { return kSingle; }
std::span<const Form> pair_forms() { return kPair; }

std::span<const Form> relation_forms(Relation relation) {
  switch (relation) {
    case Relation::kLeftOf:
      return kLeftOf;
    case Relation::kRightOf:
      return kRightOf;
    case Relation::kAbove:
      return kAbove;
    case Relation::kBelow:
      return kBelow;
    case Relation::kNone:
      break;
  }
  return {};
}

std::span<const Form> background_forms(BackgroundKind kind) {
  switch (kind) {
    case BackgroundKind::kPlain:
      return kPlain;
    case BackgroundKind::kGradient:
      return kGradient;
    case BackgroundKind::kTwoTone:
      return kTwoTone;
  }
  return {};
}

std::string_view bare_background_form(BackgroundKind kind) {
  return kBareBackgrounds[static_cast<size_t>(kind)];
}
std::string_view color_form(BackgroundKind kind) { return kColorsOnly[static_cast<size_t>(kind)]; }

std::span<const Form> small_words() { return kSmall; }
std::span<const Form> large_words() { return kLarge; }

std::string_view place_words(int64_t x, int64_t y) { return kPlaces[y][x]; }
std::string_view end_words(bool is_vertical, bool is_second) {
  return kEnds[is_vertical ? 1 : 0][is_second ? 1 : 0];
}

std::vector<std::string_view> all_patterns() {
  std::vector<std::string_view> all;
  for (const std::span<const Form> forms :
       {std::span<const Form>(kSingle), std::span<const Form>(kPair),
        std::span<const Form>(kLeftOf), std::span<const Form>(kRightOf),
        std::span<const Form>(kAbove), std::span<const Form>(kBelow), std::span<const Form>(kPlain),
        std::span<const Form>(kGradient), std::span<const Form>(kTwoTone),
        std::span<const Form>(kSmall), std::span<const Form>(kLarge)}) {
    for (const Form& form : forms) all.push_back(form.pattern);
  }
  for (const auto& row : kPlaces) all.insert(all.end(), std::begin(row), std::end(row));
  for (const auto& row : kEnds) all.insert(all.end(), std::begin(row), std::end(row));
  all.insert(all.end(), std::begin(kBareBackgrounds), std::end(kBareBackgrounds));
  all.insert(all.end(), std::begin(kColorsOnly), std::end(kColorsOnly));
  return all;
}

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
