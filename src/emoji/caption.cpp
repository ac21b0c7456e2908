#include "emoji/caption.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "data/counter_random.h"

namespace fourstep {

// The sentences of captions, as patterns in which {name} stands for a part. describe() fills them.
namespace {

/// A pattern and how often it is taken in comparison with the others of its list. The first one of
/// a list is the canonical one.
struct Form {
  std::string_view pattern;
  int64_t weight;
};

// Whole captions. {thing}: "a small pizza"; {bare}: "small pizza"; {place}: "" or " in the top left
// corner"; {background}: "a blue background"; {background_bare}: "blue background"; {color}: "blue".
// With two emoji {thing} and {bare} hold both and {place} is empty.
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

// Two things and their relation, {x} being in the relation to {y}.
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

// Of a background. {first}, {second}: its colours; {a_first}: with article; {at_first},
// {at_second}: "on the left", "at the bottom".
constexpr Form kPlain[] = {{"{a_first} background", 8}, {"a plain {first} background", 1}};
constexpr Form kGradient[] = {
    {"a background that fades from {first} to {second}", 5},
    {"a background that fades from {first} {at_first} to {second} {at_second}", 2},
    {"{a_first} to {second} gradient", 2}};
constexpr Form kTwoTone[] = {
    {"a half {first}, half {second} background", 5},
    {"a background that is {first} {at_first} and {second} {at_second}", 2},
    {"{a_first} and {second} background", 2}};
// Without article, by BackgroundKind; and as short as possible.
constexpr std::string_view kBareBackgrounds[] = {
    "{first} background", "{first} to {second} gradient", "half {first}, half {second} background"};
constexpr std::string_view kColorsOnly[] = {"{first}", "{a_first} to {second} gradient",
                                            "{first} and {second}"};

constexpr Form kSmall[] = {{"small", 4}, {"little", 1}, {"tiny", 1}};
constexpr Form kLarge[] = {{"large", 4}, {"big", 2}, {"huge", 1}};

// By y and x: 0 (top, left), 1 (middle), 2.
constexpr std::string_view kPlaces[3][3] = {
    {" in the top left corner", " at the top", " in the top right corner"},
    {" on the left side", "", " on the right side"},
    {" in the bottom left corner", " at the bottom", " in the bottom right corner"}};
// Where the first or second colour of a background is, by its direction.
constexpr std::string_view kEnds[2][2] = {{"on the left", "on the right"},
                                          {"at the top", "at the bottom"}};

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

/// All of the patterns above, for lists of their words.
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

namespace {

// How often make_caption() says less or says it otherwise.
constexpr double kKeywordShare = 0.25, kNoSizeShare = 0.25, kNoPlaceShare = 0.2,
                 kOtherSideShare = 0.5;

using Parts = std::map<std::string_view, std::string>;

/// The pattern with its {names} replaced. A name that `parts` lacks is a mistake in
/// the patterns.
std::string fill(std::string_view pattern, const Parts& parts) {
  std::string text;
  while (!pattern.empty()) {
    const size_t open = std::min(pattern.find('{'), pattern.size());
    text += pattern.substr(0, open);
    pattern.remove_prefix(open);
    if (pattern.empty()) break;
    const size_t close = pattern.find('}');
    text += parts.at(pattern.substr(1, close - 1));
    pattern.remove_prefix(close + 1);
  }
  return text;
}

/// The choices behind a caption: random, or always the canonical one where there is no source of
/// randomness.
class Chooser {
 public:
  explicit Chooser(CounterRandom* random) : random_(random) {}

  bool chance(double share) { return random_ && random_->chance(share); }

  std::string_view pick(std::span<const Form> forms) {
    if (!random_) return forms[0].pattern;
    int64_t total = 0;
    for (const Form& form : forms) total += form.weight;
    int64_t left = random_->below(total);
    size_t i = 0;
    while (left >= forms[i].weight) left -= forms[i++].weight;
    return forms[i].pattern;
  }

  std::string_view pick_noun(const Emoji& emoji) {
    if (emoji.keywords.empty() || !chance(kKeywordShare)) return emoji.name;
    return emoji.keywords[random_->below(static_cast<int64_t>(emoji.keywords.size()))];
  }

 private:
  CounterRandom* random_;
};

/// A thing with and without article.
struct Noun {
  std::string thing, bare;
};

Noun make_noun(std::string_view adjective, std::string_view noun) {
  return {noun_phrase(adjective, noun),
          adjective.empty() ? std::string(noun) : fmt::format("{} {}", adjective, noun)};
}

std::string_view size_word(const Placed& placed, Chooser& chooser) {
  const bool is_small = placed.size < kSmallBelow;
  if ((!is_small && placed.size < kLargeFrom) || chooser.chance(kNoSizeShare)) return "";
  return chooser.pick(is_small ? std::span<const Form>(kSmall) : std::span<const Form>(kLarge));
}

/// 0, 1 or 2: at the low end, in the middle, at the high end.
int64_t third_of(double center) { return center < kLowSide ? 0 : center > kHighSide ? 2 : 1; }

std::string_view place_of(const Placed& placed, Chooser& chooser) {
  if (chooser.chance(kNoPlaceShare)) return "";
  return kPlaces[third_of(placed.center_y)][third_of(placed.center_x)];
}

/// The relation of the second to the first.
Relation inverse(Relation relation) {
  switch (relation) {
    case Relation::kLeftOf:
      return Relation::kRightOf;
    case Relation::kRightOf:
      return Relation::kLeftOf;
    case Relation::kAbove:
      return Relation::kBelow;
    case Relation::kBelow:
      return Relation::kAbove;
    case Relation::kNone:
      break;
  }
  return Relation::kNone;
}

Noun make_pair_noun(const Scene& scene, std::span<const Emoji> emoji, Chooser& chooser) {
  Noun x = make_noun("", chooser.pick_noun(emoji[scene.first.emoji]));
  Noun y = make_noun("", chooser.pick_noun(emoji[scene.second->emoji]));
  Relation relation = scene.relation;
  if (chooser.chance(kOtherSideShare)) {
    std::swap(x, y);
    relation = inverse(relation);
  }
  const std::string_view pattern = chooser.pick(relation_forms(relation));
  return {fill(pattern, {{"x", x.thing}, {"y", y.thing}}),
          fill(pattern, {{"x", x.bare}, {"y", y.bare}})};
}

void add_background(const Background& background, Chooser& chooser, Parts& parts) {
  const std::string first(background_colors()[background.color].name);
  const Parts colors = {
      {"first", first},
      {"second", std::string(background_colors()[background.color_2].name)},
      {"a_first", fmt::format("{} {}", indefinite_article(first), first)},
      {"at_first", std::string(kEnds[background.is_vertical ? 1 : 0][0])},
      {"at_second", std::string(kEnds[background.is_vertical ? 1 : 0][1])},
  };
  parts["background"] = fill(chooser.pick(background_forms(background.kind)), colors);
  parts["background_bare"] = fill(kBareBackgrounds[static_cast<size_t>(background.kind)], colors);
  parts["color"] = fill(kColorsOnly[static_cast<size_t>(background.kind)], colors);
}

std::string describe(const Scene& scene, std::span<const Emoji> emoji, Chooser chooser) {
  Parts parts;
  add_background(scene.background, chooser, parts);
  Noun noun;
  if (scene.second) {
    noun = make_pair_noun(scene, emoji, chooser);
  } else {
    const std::string_view size = size_word(scene.first, chooser);
    noun = make_noun(size, chooser.pick_noun(emoji[scene.first.emoji]));
    parts["place"] = place_of(scene.first, chooser);
    parts["on"] = parts["place"].empty() ? " on " : ", on ";
  }
  parts["thing"] = noun.thing;
  parts["bare"] = noun.bare;
  return fill(
      chooser.pick(scene.second ? std::span<const Form>(kPair) : std::span<const Form>(kSingle)),
      parts);
}

/// Adds what stands between blanks, commas and {names}.
void add_words(std::string_view text, std::set<std::string>& words) {
  std::string word;
  bool is_in_name = false;
  for (const char c : text) {
    is_in_name = c == '{' || (is_in_name && c != '}');
    const bool is_letter = !is_in_name && c != '}' && c != ' ' && c != ',';
    if (is_letter) {
      word += c;
    } else if (!word.empty()) {
      words.insert(std::exchange(word, {}));
    }
  }
  if (!word.empty()) words.insert(word);
}

}  // namespace

std::string main_caption(const Scene& scene, std::span<const Emoji> emoji) {
  return describe(scene, emoji, Chooser(nullptr));
}

std::string make_caption(const Scene& scene, std::span<const Emoji> emoji, uint64_t seed,
                         int64_t index) {
  CounterRandom random(seed, index, RandomPurpose::kCaption);
  return describe(scene, emoji, Chooser(&random));
}

std::vector<std::string> caption_words(std::span<const Emoji> emoji) {
  std::set<std::string> words = {"a", "an", "on"};
  for (const std::string_view pattern : all_patterns()) add_words(pattern, words);
  for (const NamedColor& color : background_colors()) words.emplace(color.name);
  for (const Emoji& one : emoji) {
    add_words(one.name, words);
    for (const std::string& keyword : one.keywords) add_words(keyword, words);
  }
  return {words.begin(), words.end()};
}

}  // namespace fourstep
