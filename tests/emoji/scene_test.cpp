#include "emoji/scene.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "emoji_fixture.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string text_of(const Placed& placed) {
  return fmt::format("{} at {},{} size {}{}", placed.emoji, placed.center_x, placed.center_y,
                     placed.size, placed.is_mirrored ? " mirrored" : "");
}

std::string text_of(const Scene& scene) {
  const Background& b = scene.background;
  return fmt::format("{}; {}; relation {}; background {} {} {}{}", text_of(scene.first),
                     scene.second ? text_of(*scene.second) : "alone",
                     static_cast<int>(scene.relation), static_cast<int>(b.kind),
                     background_colors()[b.color].name, background_colors()[b.color_2].name,
                     b.is_vertical ? " vertical" : "");
}

std::vector<Scene> scenes(const std::vector<Emoji>& emoji, int64_t count, Split split,
                          const SceneConfig& config = {}) {
  std::vector<Scene> made;
  for (int64_t i = 0; i < count; ++i) made.push_back(make_scene(config, emoji, 1, i, split));
  return made;
}

/// The share of `list` for which `is_so` holds.
template <typename List, typename IsSo>
double share(const List& list, const IsSo& is_so) {
  return static_cast<double>(std::count_if(list.begin(), list.end(), is_so)) /
         static_cast<double>(list.size());
}

/// Whose background, and what it is, whatever its order and direction.
using Combination = std::tuple<int64_t, BackgroundKind, int64_t, int64_t>;
Combination combination(const Placed& placed, const Background& b) {
  return {placed.emoji, b.kind, std::min(b.color, b.color_2), std::max(b.color, b.color_2)};
}
std::pair<int64_t, int64_t> pair_of(const Scene& scene) {
  return std::minmax(scene.first.emoji, scene.second->emoji);
}

Scene plain_scene(int64_t emoji, int64_t color) {
  Scene scene;
  scene.first.emoji = emoji;
  scene.background = {BackgroundKind::kPlain, color, color, false};
  return scene;
}

TEST(Scene, IsPinned) {
  // Training data must not change by accident: who changes these lines changes what models are trained on.
  const auto emoji = testing::small_emoji();
  const auto made = [&](int64_t index, Split split) {
    return text_of(make_scene({}, emoji, 42, index, split));
  };
  EXPECT_EQ(made(0, Split::kTraining),
            "3 at 0.203,0.79 size 0.358; alone; relation 0; background 1 red green vertical");
  EXPECT_EQ(made(3, Split::kTraining),
            "0 at 0.519,0.52 size 0.745; alone; relation 0; background 1 white pink");
  EXPECT_EQ(made(1000000, Split::kTraining),
            "4 at 0.753,0.544 size 0.473 mirrored; 7 at 0.257,0.508 size 0.474 mirrored; relation "
            "2; background 0 yellow yellow");
  EXPECT_EQ(made(0, Split::kHeldOut),
            "0 at 0.447,0.503 size 0.393; alone; relation 0; background 1 gray red vertical");
}

TEST(Scene, DependsOnSeedIndexAndSplitAlone) {
  const auto emoji = testing::many_emoji(50);
  const std::vector<Scene> forward = scenes(emoji, 50, Split::kTraining);
  for (int64_t i = 49; i >= 0; --i) {
    EXPECT_EQ(make_scene({}, emoji, 1, i, Split::kTraining), forward[i]);
  }
  std::set<std::string> different;
  for (const Scene& scene : forward) different.insert(text_of(scene));
  EXPECT_EQ(different.size(), 50U);
  EXPECT_NE(make_scene({}, emoji, 2, 0, Split::kTraining), forward[0]);
}

TEST(Scene, SharesAreAsConfigured) {
  const std::vector<Scene> made = scenes(testing::many_emoji(100), 20000, Split::kTraining);
  // Five standard deviations of 20,000 draws are below 0.018.
  constexpr double kTolerance = 0.018;
  const auto with_kind = [&](BackgroundKind kind) {
    return share(made, [&](const Scene& scene) { return scene.background.kind == kind; });
  };
  EXPECT_NEAR(share(made, [](const Scene& s) { return s.second.has_value(); }), 0.25, kTolerance);
  EXPECT_NEAR(with_kind(BackgroundKind::kGradient), 0.15, kTolerance);
  EXPECT_NEAR(with_kind(BackgroundKind::kTwoTone), 0.15, kTolerance);
  EXPECT_NEAR(share(made, [](const Scene& s) { return s.first.is_mirrored; }), 0.5, kTolerance);
  // Three quarters are single; a tenth of them is placed, of which 40% are small, as is a tenth of the rest.
  const auto single = [&](auto is_so) {
    return share(made, [&](const Scene& s) { return !s.second && is_so(s.first); }) / 0.75;
  };
  EXPECT_NEAR(single([](const Placed& p) { return p.size < kSmallBelow; }), 0.04 + 0.09, 0.024);
  EXPECT_NEAR(single([](const Placed& p) { return p.size >= kLargeFrom; }), 0.15 * 0.9, 0.024);
}

TEST(Scene, SingleEmojiAreInsideAndClearlySmallOrNotAndAtASideOrNot) {
  for (const Scene& scene : scenes(testing::many_emoji(30), 5000, Split::kTraining)) {
    if (scene.second) continue;
    const Placed& p = scene.first;
    for (const double center : {p.center_x, p.center_y}) {
      EXPECT_GE(center - p.size / 2, -1e-9) << text_of(scene);
      EXPECT_LE(center + p.size / 2, 1 + 1e-9) << text_of(scene);
      EXPECT_GT(std::min(std::abs(center - kLowSide), std::abs(center - kHighSide)), 0.015);
    }
    EXPECT_GT(std::abs(p.size - kSmallBelow), 0.015);
    EXPECT_GT(std::abs(p.size - kLargeFrom), 0.015);
  }
}

TEST(Scene, PairsAreOfTwoEmojiThatStandApartAsTheirRelationSays) {
  std::set<Relation> seen;
  for (const Scene& scene : scenes(testing::many_emoji(30), 5000, Split::kTraining)) {
    EXPECT_EQ(scene.second.has_value(), scene.relation != Relation::kNone);
    if (!scene.second) continue;
    seen.insert(scene.relation);
    const Placed &a = scene.first, &b = *scene.second;
    EXPECT_NE(a.emoji, b.emoji);
    const bool is_beside =
        scene.relation == Relation::kLeftOf || scene.relation == Relation::kRightOf;
    const bool is_first_low =
        scene.relation == Relation::kLeftOf || scene.relation == Relation::kAbove;
    const double distance = is_beside ? b.center_x - a.center_x : b.center_y - a.center_y;
    EXPECT_GE(is_first_low ? distance : -distance, (a.size + b.size) / 2) << text_of(scene);
  }
  EXPECT_EQ(seen.size(), 4U);
}

TEST(Scene, PlainBackgroundsHaveOneColorAndOthersTwo) {
  for (const Scene& scene : scenes(testing::many_emoji(30), 2000, Split::kTraining)) {
    const Background& b = scene.background;
    EXPECT_EQ(b.color == b.color_2, b.kind == BackgroundKind::kPlain);
  }
}

TEST(HeldOut, TheHashIsFnv1aWithTheEndOfSplitmix64OfTheNames) {
  // Colours that a Python program with these hashes holds out behind each emoji, and its pairs.
  const auto emoji = testing::small_emoji();
  const auto colors = [&](int64_t index) {
    std::vector<std::string_view> names;
    for (int64_t c = 0; c < 12; ++c) {
      if (is_held_out({}, emoji, plain_scene(index, c)))
        names.push_back(background_colors()[c].name);
    }
    return names;
  };
  EXPECT_THAT(colors(0), ElementsAre("red"));             // pizza
  EXPECT_THAT(colors(1), ElementsAre("purple", "pink"));  // dog face
  EXPECT_THAT(colors(2), ElementsAre("gray", "green"));   // egg
  EXPECT_THAT(colors(3), ElementsAre("gray"));            // grapes
  Scene pair = plain_scene(6, 0);
  pair.relation = Relation::kAbove;
  pair.second = Placed{.emoji = 7};
  EXPECT_TRUE(is_held_out({}, emoji, pair));  // bread and fox
  std::swap(pair.first.emoji, pair.second->emoji);
  EXPECT_TRUE(is_held_out({}, emoji, pair)) << "in either order";
  pair.first.emoji = 2;
  EXPECT_FALSE(is_held_out({}, emoji, pair));  // egg and bread on white
}

TEST(HeldOut, FadesAreTheSameInEitherOrderAndDirection) {
  const auto emoji = testing::small_emoji();
  Scene scene = plain_scene(0, 0);
  const auto is_out = [&](int64_t color, int64_t color_2, bool is_vertical) {
    scene.background = {BackgroundKind::kGradient, color, color_2, is_vertical};
    return is_held_out({}, emoji, scene);
  };
  EXPECT_TRUE(is_out(2, 0, false));  // pizza, gray to white: by the Python program
  EXPECT_TRUE(is_out(0, 2, true));
  EXPECT_FALSE(is_out(2, 1, false));
}

TEST(HeldOut, ATenthOfTheCombinationsIsHeldOut) {
  const auto emoji = testing::many_emoji(200);
  int64_t backgrounds = 0, pairs = 0;
  const SceneConfig config;
  for (int64_t i = 0; i < 200; ++i) {
    for (int64_t c = 0; c < 12; ++c) {
      backgrounds += is_held_out(config, emoji, plain_scene(i, c)) ? 1 : 0;
    }
  }
  EXPECT_NEAR(static_cast<double>(backgrounds) / 2400, 0.1, 0.031);  // five standard deviations
  std::set<std::pair<int64_t, int64_t>> seen;
  for (const Scene& scene : scenes(emoji, 20000, Split::kTraining, {.pair_share = 1})) {
    seen.insert(pair_of(scene));
  }
  pairs = static_cast<int64_t>(seen.size());
  // 20,000 draws out of 0.9 * 19,900 pairs miss a share of exp(-20000 / 17910), give or take one percent: the
  // backgrounds that training leaves out are drawn anew together with the pair.
  EXPECT_NEAR(static_cast<double>(pairs) / 17910, 1 - std::exp(-20000.0 / 17910), 0.03);
}

TEST(HeldOut, TrainingNeverShowsWhatIsHeldOut) {
  const auto emoji = testing::many_emoji(40);
  std::set<Combination> trained;
  std::set<std::pair<int64_t, int64_t>> trained_pairs;
  for (const Scene& scene : scenes(emoji, 20000, Split::kTraining)) {
    EXPECT_FALSE(is_held_out({}, emoji, scene));
    trained.insert(combination(scene.first, scene.background));
    if (!scene.second) continue;
    trained.insert(combination(*scene.second, scene.background));
    trained_pairs.insert(pair_of(scene));
  }
  for (const Scene& scene : scenes(emoji, 20000, Split::kHeldOut)) {
    EXPECT_TRUE(is_held_out({}, emoji, scene));
    const bool was_trained = scene.second
                                 ? trained_pairs.contains(pair_of(scene))
                                 : trained.contains(combination(scene.first, scene.background));
    EXPECT_FALSE(was_trained) << text_of(scene);
  }
}

TEST(HeldOut, AnotherListHoldsOutTheSameCombinations) {
  auto emoji = testing::small_emoji(), reversed = emoji;
  std::reverse(reversed.begin(), reversed.end());
  for (int64_t i = 0; i < 8; ++i) {
    for (int64_t c = 0; c < 12; ++c) {
      EXPECT_EQ(is_held_out({}, emoji, plain_scene(i, c)),
                is_held_out({}, reversed, plain_scene(7 - i, c)));
    }
  }
}

TEST(HeldOut, ListsThatAreTooShortAreErrors) {
  const auto one = testing::many_emoji(1);
  const auto error = [&](const SceneConfig& config, std::span<const Emoji> emoji, Split split) {
    return testing::message_of<Error>([&] { make_scene(config, emoji, 1, 0, split); });
  };
  EXPECT_THAT(error({.pair_share = 1}, one, Split::kTraining), HasSubstr("have no training pair"));
  EXPECT_THAT(error({.pair_share = 0}, {}, Split::kTraining), HasSubstr("training single emoji"));
  EXPECT_THAT(error({.pair_share = 0, .held_out_percent = 0}, one, Split::kHeldOut),
              HasSubstr("1 emoji with 0% held out have no held-out single emoji"));
  EXPECT_THAT(error({.held_out_percent = 100}, one, Split::kTraining),
              HasSubstr("have no training"));
}

TEST(SceneConfig, SharesOutOfRangeAreNamed) {
  const auto error = [](const SceneConfig& config) {
    return testing::message_of<InvalidRequest>([&] { validate(config); });
  };
  EXPECT_EQ(error({}), "");
  EXPECT_EQ(error({.pair_share = 1.5}), "--pair-share: \"1.5\" is not a number from 0 to 1");
  EXPECT_EQ(error({.image_size = 0}), "--image-size: \"0\" is not a whole number from 8 to 1024");
  EXPECT_THAT(error({.gradient_share = 0.6, .two_tone_share = 0.5}), HasSubstr("add up to 1.1"));
  EXPECT_THAT(error({.small_share = 0.6, .large_share = 0.5}), HasSubstr("add up to 1.1"));
}

TEST(SceneConfig, ExtremeSharesAreKept) {
  const SceneConfig config{.pair_share = 0,
                           .gradient_share = 0,
                           .two_tone_share = 1,
                           .mirrored_share = 0,
                           .placed_share = 0,
                           .small_share = 1,
                           .large_share = 0};
  for (const Scene& scene : scenes(testing::many_emoji(10), 200, Split::kTraining, config)) {
    EXPECT_FALSE(scene.second || scene.first.is_mirrored);
    EXPECT_EQ(scene.background.kind, BackgroundKind::kTwoTone);
    EXPECT_LT(scene.first.size, kSmallBelow);
  }
}

}  // namespace
}  // namespace fourstep
