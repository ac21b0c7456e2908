#include "emoji/caption.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "data/counter_random.h"
#include "emoji/caption_forms.h"

namespace fourstep {
namespace {

// How often make_caption() says less or says it otherwise.
constexpr double kKeywordShare = 0.25, kNoSizeShare = 0.25, kNoPlaceShare = 0.2,
                 kOtherSideShare = 0.5;

using Parts = std::map<std::string_view, std::string>;

/// The pattern with its {names} replaced. A name that `parts` lacks is a mistake in
/// caption_forms.cpp.
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
  return chooser.pick(is_small ? small_words() : large_words());
}

/// 0, 1 or 2: at the low end, in the middle, at the high end.
int64_t third_of(double center) { return center < kLowSide ? 0 : center > kHighSide ? 2 : 1; }

std::string_view place_of(const Placed& placed, Chooser& chooser) {
  if (chooser.chance(kNoPlaceShare)) return "";
  return place_words(third_of(placed.center_x), third_of(placed.center_y));
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
      {"at_first", std::string(end_words(background.is_vertical, false))},
      {"at_second", std::string(end_words(background.is_vertical, true))},
  };
  parts["background"] = fill(chooser.pick(background_forms(background.kind)), colors);
  parts["background_bare"] = fill(bare_background_form(background.kind), colors);
  parts["color"] = fill(color_form(background.kind), colors);
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
  return fill(chooser.pick(scene.second ? pair_forms() : single_forms()), parts);
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
