#pragma once
// What a picture shows, before it is drawn or described: one or two emoji, where they are, and what
// is behind them. Scenes are made from (seed, index); a tenth of the combinations never occurs in
// training.

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/fields.h"
#include "emoji/emoji_list.h"

namespace fourstep {

struct NamedColor {
  std::string_view name;
  std::array<uint8_t, 3> rgb;
};

/// The twelve colours of backgrounds.
std::span<const NamedColor> background_colors();

enum class BackgroundKind { kPlain, kGradient, kTwoTone };

struct Background {
  BackgroundKind kind = BackgroundKind::kPlain;
  int64_t color = 0;         ///< index into background_colors(); at the left or the top
  int64_t color_2 = 0;       ///< at the right or the bottom; equal to `color` where it is plain
  bool is_vertical = false;  ///< colours change from top to bottom instead of from left to right

  bool operator==(const Background&) const = default;
};

/// Where the first emoji is, seen from the second; kNone: there is no second.
enum class Relation { kNone, kLeftOf, kRightOf, kAbove, kBelow };

/// Lengths are fractions of the picture's side, whole thousandths; y grows downwards.
struct Placed {
  int64_t emoji = 0;  ///< index into the list of emoji
  double center_x = 0.5, center_y = 0.5;
  double size = 0.5;  ///< height of the glyph's bitmap
  bool is_mirrored = false;

  bool operator==(const Placed&) const = default;
};

struct Scene {
  Placed first;
  std::optional<Placed> second = {};
  Relation relation = Relation::kNone;
  Background background = {};

  bool operator==(const Scene&) const = default;
};

// Single emoji are made clearly on one side of these bounds, so that captions can tell them by the
// numbers.
constexpr double kSmallBelow = 0.44;  ///< size of what is called small
constexpr double kLargeFrom = 0.82;   ///< size of what is called large
constexpr double kLowSide = 0.36,
                 kHighSide = 0.64;  ///< centres beyond are at a side or in a corner

struct SceneConfig {
  double pair_share = 0.25;
  double gradient_share = 0.15;
  double two_tone_share = 0.15;
  double mirrored_share = 0.5;
  double placed_share = 0.1;
  double small_share = 0.1;
  double large_share = 0.15;
  int64_t held_out_percent = 10;
  int64_t image_size = 128;

  bool operator==(const SceneConfig&) const = default;
};

/// Calls visit(FieldInfo, member&) for every field, in the order in which people read them.
template <typename AnyConfig, typename Visitor>
void visit_fields(AnyConfig& c, Visitor&& visit) requires
    std::same_as<std::remove_const_t<AnyConfig>, SceneConfig> {
  using Info = FieldInfo;
  visit(Info{"pair_share", "share of pictures with two emoji", "", 0, 1}, c.pair_share);
  visit(Info{"gradient_share", "share of backgrounds that fade", "", 0, 1}, c.gradient_share);
  visit(Info{"two_tone_share", "share of backgrounds in two halves", "", 0, 1}, c.two_tone_share);
  visit(Info{"mirrored_share", "share of emoji that are mirrored", "", 0, 1}, c.mirrored_share);
  visit(Info{"placed_share", "share of single emoji in a corner or at a side", "", 0, 1},
        c.placed_share);
  visit(Info{"small_share", "share of small ones among the other single emoji", "", 0, 1},
        c.small_share);
  visit(Info{"large_share", "share of large ones among the other single emoji", "", 0, 1},
        c.large_share);
  visit(Info{"held_out_percent", "combinations kept out of training", "%", 0, 100},
        c.held_out_percent);
  visit(Info{"image_size", "width and height of the pictures", "px", 8, 1024}, c.image_size);
}

/// Throws InvalidRequest when a field is out of its range, or shares that exclude each other exceed
/// 1.
void validate(const SceneConfig& config);

enum class Split { kTraining, kHeldOut };

/// Scene number `index` (from 0) of the stream `seed`; other scenes need not be made before it.
/// Pairs are of two different emoji. Training scenes are never is_held_out(). A held-out scene has
/// a held-out background behind its emoji or, with two, is of a held-out pair.
/// Throws Error when index < 0, or the list is too short to have such a scene.
Scene make_scene(const SceneConfig& config, std::span<const Emoji> emoji, uint64_t seed,
                 int64_t index, Split split);

/// Whether training must not show the scene. Of all (emoji, background) combinations
/// held_out_percent are held out, a background being its kind and its colours in any order and
/// direction; and of all pairs of emoji as many, in any order and relation. A pair is also held out
/// for the background behind one of its emoji, else training would see that combination after all.
/// The hash is of the names, so another choice of emoji or colours holds out the same combinations.
bool is_held_out(const SceneConfig& config, std::span<const Emoji> emoji, const Scene& scene);

}  // namespace fourstep
