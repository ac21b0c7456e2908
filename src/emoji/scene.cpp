#include "emoji/scene.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "base/error.h"
#include "data/counter_random.h"

namespace fourstep {
namespace {

constexpr NamedColor kColors[] = {
    {"white", {255, 255, 255}}, {"black", {0, 0, 0}},      {"gray", {128, 128, 128}},
    {"red", {222, 36, 36}},     {"orange", {255, 140, 0}}, {"yellow", {255, 222, 0}},
    {"green", {40, 164, 60}},   {"teal", {0, 140, 140}},   {"blue", {40, 84, 222}},
    {"purple", {132, 48, 180}}, {"pink", {255, 150, 192}}, {"brown", {128, 76, 36}},
};
constexpr int64_t kNumColors = std::size(kColors);

/// Thousandths of the picture's side, both ends included.
struct Range {
  int64_t first, last;
};

constexpr Range kSmallSize = {300, 420}, kPlacedSize = {460, 550}, kNormalSize = {550, 800},
                kLargeSize = {840, 900}, kPairedSize = {400, 480};
constexpr int64_t kJitter = 120;       // of a single emoji around the middle
constexpr int64_t kPlacedJitter = 60;  // from the edge, and around the middle of a side
constexpr int64_t kPairJitter = 80;    // across the axis of a pair
constexpr int64_t kMostDraws = 1000;

int64_t draw(CounterRandom& random, Range range) { return random.between(range.first, range.last); }

double fraction(int64_t thousandths) { return static_cast<double>(thousandths) / 1000; }

int64_t near_middle(CounterRandom& random, int64_t size, int64_t jitter) {
  const int64_t room = std::min(jitter, (1000 - size) / 2);
  return random.between(500 - room, 500 + room);
}

/// side: 0 low, 1 middle, 2 high end of an axis.
int64_t at_side(CounterRandom& random, int64_t size, int64_t side) {
  if (side == 1) return near_middle(random, size, kPlacedJitter);
  const int64_t from_edge = (size + 1) / 2 + random.between(0, kPlacedJitter);
  return side == 0 ? from_edge : 1000 - from_edge;
}

Placed make_placed(int64_t emoji, int64_t x, int64_t y, int64_t size) {
  return {emoji, fraction(x), fraction(y), fraction(size)};
}

/// In a corner or at a side, all eight equally often.
Placed draw_at_side(CounterRandom& random, int64_t emoji) {
  const int64_t size = draw(random, random.chance(0.4) ? kSmallSize : kPlacedSize);
  const int64_t cell = random.below(8);
  const int64_t of_nine = cell < 4 ? cell : cell + 1;  // without the middle
  const int64_t x = at_side(random, size, of_nine % 3);
  return make_placed(emoji, x, at_side(random, size, of_nine / 3), size);
}

Placed draw_central(const SceneConfig& config, CounterRandom& random, int64_t emoji) {
  const bool is_small = random.chance(config.small_share);
  const bool is_large = !is_small && random.chance(config.large_share / (1 - config.small_share));
  const int64_t size = draw(random, is_small ? kSmallSize : is_large ? kLargeSize : kNormalSize);
  const int64_t x = near_middle(random, size, kJitter);
  return make_placed(emoji, x, near_middle(random, size, kJitter), size);
}

/// One half of a pair: `end` 0 is the left or upper one.
Placed draw_half(CounterRandom& random, int64_t emoji, int64_t end, bool is_stacked) {
  const int64_t size = draw(random, kPairedSize);
  const int64_t along = (end == 0 ? 250 : 750) + random.between(-10, 10);
  const int64_t across = near_middle(random, size, kPairJitter);
  return is_stacked ? make_placed(emoji, across, along, size)
                    : make_placed(emoji, along, across, size);
}

Scene draw_pair(CounterRandom& random, int64_t num_emoji) {
  constexpr Relation kRelations[] = {Relation::kLeftOf, Relation::kRightOf, Relation::kAbove,
                                     Relation::kBelow};
  const int64_t relation = random.below(4);
  const int64_t first = random.below(num_emoji);
  const int64_t second = (first + 1 + random.below(num_emoji - 1)) % num_emoji;
  Scene scene;
  scene.relation = kRelations[relation];
  scene.first = draw_half(random, first, relation % 2, relation >= 2);
  scene.second = draw_half(random, second, 1 - relation % 2, relation >= 2);
  return scene;
}

Scene draw_single(const SceneConfig& config, CounterRandom& random, int64_t num_emoji) {
  const int64_t emoji = random.below(num_emoji);
  Scene scene;
  scene.first = random.chance(config.placed_share) ? draw_at_side(random, emoji)
                                                   : draw_central(config, random, emoji);
  return scene;
}

BackgroundKind draw_kind(const SceneConfig& config, CounterRandom& random) {
  if (random.chance(config.gradient_share)) return BackgroundKind::kGradient;
  const double rest = 1 - config.gradient_share;
  return rest > 0 && random.chance(config.two_tone_share / rest) ? BackgroundKind::kTwoTone
                                                                 : BackgroundKind::kPlain;
}

Background draw_background(CounterRandom& random, BackgroundKind kind) {
  const int64_t color = random.below(kNumColors);
  const int64_t other = (color + 1 + random.below(kNumColors - 1)) % kNumColors;
  const bool is_vertical = random.below(2) == 1;
  if (kind == BackgroundKind::kPlain) return {kind, color, color, false};
  return {kind, color, other, is_vertical};
}

/// FNV-1a, then the last step of splitmix64: FNV alone leaves its low bits uneven on short texts.
uint64_t text_hash(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9;
  hash = (hash ^ hash >> 27) * 0x94D049BB133111EB;
  return hash ^ hash >> 31;
}

/// Two names in alphabetical order, one to a line.
std::string unordered(std::string_view a, std::string_view b) {
  if (b < a) std::swap(a, b);
  return fmt::format("{}\n{}", a, b);
}

bool is_chosen(const SceneConfig& config, const std::string& combination) {
  return text_hash(combination) % 100 < static_cast<uint64_t>(config.held_out_percent);
}

bool is_background_held_out(const SceneConfig& config, const Emoji& emoji, const Background& b) {
  constexpr std::string_view kKinds[] = {"plain", "gradient", "two-tone"};
  return is_chosen(
      config, fmt::format("background\n{}\n{}\n{}", emoji.name, kKinds[static_cast<size_t>(b.kind)],
                          unordered(kColors[b.color].name, kColors[b.color_2].name)));
}

bool is_pair_held_out(const SceneConfig& config, const Emoji& a, const Emoji& b) {
  return is_chosen(config, "pair\n" + unordered(a.name, b.name));
}

/// Whether the combination that the scene is for (the pair if there is one) is held out.
bool is_test_case(const SceneConfig& config, std::span<const Emoji> emoji, const Scene& scene) {
  const Emoji& first = emoji[scene.first.emoji];
  return scene.second ? is_pair_held_out(config, first, emoji[scene.second->emoji])
                      : is_background_held_out(config, first, scene.background);
}

void check_share(double sum, const char* what) {
  if (sum > 1) throw InvalidRequest("{} add up to {}; they must not exceed 1", what, sum);
}

}  // namespace

std::span<const NamedColor> background_colors() { return kColors; }

void validate(const SceneConfig& config) {
  visit_fields(config, [](const FieldInfo& field, const auto& value) {
    auto ignored = value;  // the range check is that of the text form
    value_from_text(field, text_from_value(value), ignored);
  });
  check_share(config.gradient_share + config.two_tone_share, "gradient_share and two_tone_share");
  check_share(config.small_share + config.large_share, "small_share and large_share");
}

bool is_held_out(const SceneConfig& config, std::span<const Emoji> emoji, const Scene& scene) {
  const auto is_behind = [&](const Placed& placed) {
    return is_background_held_out(config, emoji[placed.emoji], scene.background);
  };
  return is_test_case(config, emoji, scene) || is_behind(scene.first) ||
         (scene.second && is_behind(*scene.second));
}

Scene make_scene(const SceneConfig& config, std::span<const Emoji> emoji, uint64_t seed,
                 int64_t index, Split split) {
  CounterRandom random(seed, index, RandomPurpose::kScene);
  // Chosen once, outside of the attempts: else what is held out more often would become rarer.
  const bool is_pair = random.chance(config.pair_share);
  const BackgroundKind kind = draw_kind(config, random);
  const auto num_emoji = static_cast<int64_t>(emoji.size());
  for (int64_t i = 0; i < kMostDraws && num_emoji > (is_pair ? 1 : 0); ++i) {
    Scene scene = is_pair ? draw_pair(random, num_emoji) : draw_single(config, random, num_emoji);
    scene.background = draw_background(random, kind);
    scene.first.is_mirrored = random.chance(config.mirrored_share);
    if (scene.second) scene.second->is_mirrored = random.chance(config.mirrored_share);
    const bool fits = split == Split::kTraining ? !is_held_out(config, emoji, scene)
                                                : is_test_case(config, emoji, scene);
    if (fits) return scene;
  }
  throw Error(
      "make_scene: {} emoji with {}% held out have no {} {}; take more emoji or another share",
      num_emoji, config.held_out_percent, split == Split::kTraining ? "training" : "held-out",
      is_pair ? "pair" : "single emoji");
}

}  // namespace fourstep
