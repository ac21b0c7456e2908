#include "emoji/draw.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "emoji/emoji_data.h"
#include "emoji/emoji_sources.h"
#include "emoji_fixture.h"
#include "io/image.h"
#include "support/golden.h"

namespace fourstep {
namespace {

enum Color : int64_t { kWhite = 0, kBlack = 1, kRed = 3, kBlue = 8 };

Background plain(int64_t color) { return {BackgroundKind::kPlain, color, color, false}; }

/// [3] in [-1,1], by the formula of io/image.h.
Tensor color_of(int64_t color) {
  const auto& rgb = background_colors()[color].rgb;
  return image_from_pixels(
             torch::tensor({rgb[0], rgb[1], rgb[2]}, torch::kUInt8).reshape({1, 1, 3}))
      .reshape({3});
}

Tensor pixel(const Tensor& image, int64_t y, int64_t x) { return image.select(2, x).select(1, y); }

/// uint8 [h,w,4]: gray values 0..255 without transparency.
Tensor opaque_glyph(const std::vector<std::vector<int64_t>>& gray) {
  const auto h = static_cast<int64_t>(gray.size()), w = static_cast<int64_t>(gray[0].size());
  Tensor glyph = torch::full({h, w, 4}, 255, torch::kUInt8);
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) glyph[y][x].narrow(0, 0, 3).fill_(gray[y][x]);
  }
  return glyph;
}

/// The first channel of a black picture with the glyph on it, in 0..255.
Tensor painted(const Tensor& glyph, const Placed& placed, int64_t side) {
  const Tensor image = draw_background(plain(kBlack), side);
  paint_glyph(image, glyph, placed);
  return (image[0] + 1) * 127.5;
}

Tensor expected(const std::vector<std::vector<double>>& rows) {
  std::vector<Tensor> tensors;
  for (const auto& row : rows) tensors.push_back(torch::tensor(row, torch::kFloat));
  return torch::stack(tensors);
}

constexpr double kTolerance = 1e-4;  // fp32 sums of values up to 255

TEST(DrawBackground, APlainOneIsItsColorEverywhere) {
  const Tensor image = draw_background(plain(kRed), 8);
  EXPECT_EQ(to_string(shape_of(image)), "[3,8,8]");
  EXPECT_TRUE(torch::equal(image, color_of(kRed).reshape({3, 1, 1}).expand({3, 8, 8})));
}

TEST(DrawBackground, AGradientGoesEvenlyFromColorToColor) {
  const Tensor across = draw_background({BackgroundKind::kGradient, kBlack, kWhite, false}, 5);
  EXPECT_TRUE(torch::allclose(across[1][3], torch::tensor({-1.0F, -0.5F, 0.0F, 0.5F, 1.0F})));
  const Tensor down = draw_background({BackgroundKind::kGradient, kRed, kBlue, true}, 9);
  EXPECT_TRUE(torch::equal(pixel(down, 0, 4), color_of(kRed)));
  EXPECT_TRUE(torch::equal(pixel(down, 8, 4), color_of(kBlue)));
  EXPECT_TRUE(torch::allclose(pixel(down, 4, 0), (color_of(kRed) + color_of(kBlue)) / 2));
}

TEST(DrawBackground, HalvesMeetInTheMiddle) {
  const Tensor across = draw_background({BackgroundKind::kTwoTone, kRed, kBlue, false}, 6);
  EXPECT_TRUE(torch::equal(pixel(across, 5, 2), color_of(kRed)));
  EXPECT_TRUE(torch::equal(pixel(across, 0, 3), color_of(kBlue)));
  const Tensor down = draw_background({BackgroundKind::kTwoTone, kRed, kBlue, true}, 6);
  EXPECT_TRUE(torch::equal(down, across.transpose(1, 2)));
}

TEST(PaintGlyph, HalvingAveragesFourPixels) {
  const Tensor glyph =
      opaque_glyph({{0, 40, 80, 80}, {20, 60, 80, 80}, {255, 0, 1, 3}, {255, 0, 5, 7}});
  const Tensor got = painted(glyph, {.size = 0.5}, 4);
  EXPECT_TRUE(torch::allclose(
      got, expected({{0, 0, 0, 0}, {0, 30, 80, 0}, {0, 127.5, 4, 0}, {0, 0, 0, 0}}), 0, kTolerance))
      << got;
}

TEST(PaintGlyph, PartsOfPixelsCountByTheirArea) {
  // Three pixels on two: each takes one and a half.
  const Tensor got =
      painted(opaque_glyph({{90, 30, 60}, {90, 30, 60}, {90, 30, 60}}), {.size = 1}, 2);
  EXPECT_TRUE(torch::allclose(got, expected({{70, 50}, {70, 50}}), 0, kTolerance)) << got;
}

TEST(PaintGlyph, EnlargingInterpolatesLinearlyAndFadesAtTheEdge) {
  // Two pixels on four: a quarter of the way from one to the next, and a quarter of the edge is background.
  const Tensor got = painted(opaque_glyph({{100, 200}, {100, 200}}), {.size = 1}, 4);
  const Tensor row = torch::tensor({75.0F, 125.0F, 175.0F, 150.0F});
  EXPECT_TRUE(torch::allclose(got[1], row, 0, kTolerance)) << got;
  EXPECT_TRUE(torch::allclose(got[0], row * 0.75, 0, kTolerance)) << got;
}

TEST(PaintGlyph, TransparencyShowsTheBackground) {
  Tensor glyph = torch::zeros({1, 1, 4}, torch::kUInt8);
  glyph[0][0].copy_(torch::tensor({51, 0, 0, 102}));  // half red at 40% opacity
  const Tensor image = draw_background(plain(kWhite), 3);
  paint_glyph(image, glyph, {.size = 1.0 / 3});
  const Tensor middle = (pixel(image, 1, 1) + 1) * 127.5;
  EXPECT_TRUE(
      torch::allclose(middle, torch::tensor({51.0F + 153.0F, 153.0F, 153.0F}), 0, kTolerance));
  EXPECT_TRUE(torch::equal(pixel(image, 0, 1), color_of(kWhite)));
}

TEST(PaintGlyph, WhatIsOutsideIsCutOff) {
  const Tensor glyph = opaque_glyph({{255, 255}, {255, 255}});
  const Tensor got = painted(glyph, {.center_x = 0, .center_y = 1, .size = 0.5}, 4);
  EXPECT_TRUE(torch::allclose(
      got, expected({{0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {255, 0, 0, 0}}), 0, kTolerance))
      << got;
}

TEST(PaintGlyph, AlphaMassIsTheAreaWhateverTheSubpixelPlace) {
  Tensor glyph = torch::zeros({16, 16, 4}, torch::kUInt8);
  glyph.slice(0, 3, 12).slice(1, 5, 9).fill_(255);
  for (const double center : {0.5, 0.513, 0.4871}) {
    const double mass = painted(glyph, {.center_x = center, .center_y = center, .size = 0.37}, 32)
                            .sum()
                            .item<double>();
    const double scale = 0.37 * 32 / 16;
    EXPECT_NEAR(mass, 255 * 36 * scale * scale, 0.5);
  }
}

class DrawScene : public ::testing::Test {
 protected:
  static constexpr int64_t kSide = 64;

  /// How far each pixel is from the background, [side,side].
  Tensor change(const Scene& scene) const {
    const Tensor image = draw_scene(scene, emoji_, glyph_, kSide);
    return (image - draw_background(scene.background, kSide)).abs().sum(0);
  }

  std::vector<Emoji> emoji_ = read_emoji_list({}, testing::default_groups());
  EmojiFont font_{EmojiSources{}.font};
  GlyphSource glyph_ = [this](char32_t code) { return font_.glyph(code); };
};

TEST_F(DrawScene, TheCornerHasExactlyTheBackgroundsColor) {
  for (int64_t color = 0; color < 12; ++color) {
    const Scene scene{.first = {.emoji = 5, .size = 0.5}, .background = plain(color)};
    const Tensor image = draw_scene(scene, emoji_, glyph_, kSide);
    EXPECT_TRUE(torch::equal(pixel(image, 0, 0), color_of(color)));
    EXPECT_LE(image.abs().max().item<double>(), 1);
  }
}

TEST_F(DrawScene, AMirroredEmojiIsTheMirrorImage) {
  for (int64_t i = 0; i < static_cast<int64_t>(emoji_.size()); i += 20) {
    Scene scene{.first = {.emoji = i, .center_x = 0.4, .size = 0.7}, .background = plain(kBlue)};
    const Tensor image = draw_scene(scene, emoji_, glyph_, kSide);
    scene.first.is_mirrored = true;
    scene.first.center_x = 0.6;
    const Tensor mirrored = draw_scene(scene, emoji_, glyph_, kSide);
    EXPECT_TRUE(torch::allclose(mirrored.flip(2), image, 0, 1e-5)) << emoji_[i].name;
    EXPECT_FALSE(torch::allclose(mirrored, image, 0, 1e-2)) << emoji_[i].name;
  }
}

TEST_F(DrawScene, TheTwoOfAPairAreWhereTheirRelationSays) {
  const SceneConfig config{.pair_share = 1};
  for (int64_t i = 0; i < 60; ++i) {
    const Scene scene = make_scene(config, emoji_, 1, i, Split::kTraining);
    Scene first_alone = scene;
    first_alone.second.reset();
    const Tensor mass = change(first_alone);
    const double left = mass.slice(1, 0, kSide / 2).sum().item<double>(),
                 top = mass.slice(0, 0, kSide / 2).sum().item<double>(),
                 all = mass.sum().item<double>();
    const bool is_beside =
        scene.relation == Relation::kLeftOf || scene.relation == Relation::kRightOf;
    const bool is_low = scene.relation == Relation::kLeftOf || scene.relation == Relation::kAbove;
    const double share = (is_beside ? left : top) / all;
    EXPECT_GT(is_low ? share : 1 - share, 0.99) << i;
    EXPECT_GT(change(scene).sum().item<double>(), all) << "the second is there too";
  }
}

}  // namespace
}  // namespace fourstep
