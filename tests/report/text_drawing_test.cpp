#include "report/text_drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

#ifdef FOURSTEP_MINIMAL

TEST(TextDrawing, BuildsWithoutFreeTypeSaySo) {
  EXPECT_FALSE(can_draw_text());
  EXPECT_THAT(testing::message_of<Error>([] { Font(kDefaultFont, 12); }), HasSubstr("FreeType"));
}

#else

Tensor white(int64_t height, int64_t width) {
  return torch::full({height, width, 3}, 255, torch::kUInt8);
}

// Advances and kerning are those of DejaVu Sans 2.37's tables hmtx and kern, in 1/2048 of the size.
TEST(TextDrawing, WidthsAreTheAdvancesOfTheFontFile) {
  const Font font(kDefaultFont, 20.48);
  const double tolerance = 5 / 64.0;  // sizes and advances are multiples of 1/64 px
  EXPECT_TRUE(can_draw_text());
  EXPECT_NEAR(font.width_px("mmmm"), 4 * 19.95, tolerance);
  EXPECT_NEAR(font.width_px("i i"), 2 * 5.69 + 6.51, tolerance);
  EXPECT_NEAR(font.width_px("éя…"), 12.60 + 12.32 + 20.48, tolerance);
  EXPECT_NEAR(font.width_px("0123456789"), 10 * 13.03, 2 * tolerance);
  EXPECT_EQ(font.width_px(""), 0);
}

TEST(TextDrawing, PairsAreKerned) {
  const Font font(kDefaultFont, 204.8);
  EXPECT_NEAR(font.width_px("AV"), 2 * 140.1 - 13.1, 0.1);
}

TEST(TextDrawing, LineHeightIsThatOfTheFontFile) {
  const Font font(kDefaultFont, 20.48);  // hhea: ascender 1901, descender -483
  EXPECT_NEAR(static_cast<double>(font.ascent_px()), 19.01, 1.5);
  EXPECT_NEAR(static_cast<double>(font.line_height_px()), 19.01 + 4.83, 1.5);
}

TEST(TextDrawing, TinyTextStillHasLines) {
  EXPECT_EQ(Font(kDefaultFont, 0.001).line_height_px(), 1);
}

TEST(TextDrawing, FullBlockFillsItsBoxWithTheColor) {
  // U+2588 spans x -20..1595 and y -512..1921 (table glyf): 16 x 24 px at this size.
  const Tensor pixels = white(60, 60);
  Font(kDefaultFont, 20.48).draw(pixels, "█", {10, 40, {200, 30, 70}});
  const Tensor inside = pixels.narrow(0, 23, 20).narrow(1, 12, 12).reshape({-1, 3});
  EXPECT_TRUE(inside.eq(torch::tensor({200, 30, 70}, torch::kUInt8)).all().item<bool>());
  const Tensor is_white = pixels.eq(255).all(2);
  EXPECT_TRUE(is_white.narrow(0, 0, 18).all().item<bool>()) << "above";
  EXPECT_TRUE(is_white.narrow(0, 48, 12).all().item<bool>()) << "below";
  EXPECT_TRUE(is_white.narrow(1, 0, 8).all().item<bool>()) << "left";
  EXPECT_TRUE(is_white.narrow(1, 28, 32).all().item<bool>()) << "right";
}

TEST(TextDrawing, CurvesAreAntiAliasedAndLettersStandOnTheBaseline) {
  const Tensor pixels = white(60, 200);
  Font(kDefaultFont, 30).draw(pixels, "OHO", {5, 40, {0, 0, 0}});
  const Tensor gray = pixels.select(2, 0);
  EXPECT_GT((gray.gt(20) & gray.lt(235)).sum().item<int64_t>(), 50);
  EXPECT_GT(gray.eq(0).sum().item<int64_t>(), 50);
  EXPECT_TRUE(gray.narrow(0, 42, 18).eq(255).all().item<bool>()) << "no descender";
  EXPECT_LT(gray.select(0, 39).min().item<int64_t>(), 100) << "the feet of H";
}

TEST(TextDrawing, WhatLiesOutsideIsCutOff) {
  const Font font(kDefaultFont, 40);
  const Tensor large = white(120, 200), part = white(30, 50);
  font.draw(large, "Wgj", {40, 60, {0, 0, 0}});
  font.draw(part, "Wgj", {40 - 60, 60 - 45, {0, 0, 0}});
  EXPECT_TRUE(part.equal(large.narrow(0, 45, 30).narrow(1, 60, 50).contiguous()));
  for (const int64_t far : {-100000, 100000}) {
    const Tensor untouched = white(30, 50);
    font.draw(untouched, "Wgj", {far, 20, {0, 0, 0}});
    font.draw(untouched, "Wgj", {0, far, {0, 0, 0}});
    EXPECT_TRUE(untouched.eq(255).all().item<bool>());
  }
}

TEST(TextDrawing, AccentsAreDrawnAndMissingCharactersAreBoxes) {
  const Font font(kDefaultFont, 20);
  const auto drawn = [&](const char* text) {
    const Tensor pixels = white(40, 60);
    font.draw(pixels, text, {5, 30, {0, 0, 0}});
    return pixels;
  };
  EXPECT_FALSE(drawn("é").equal(drawn("e")));
  EXPECT_TRUE(drawn("中").equal(drawn("文"))) << "the font has neither";
  EXPECT_FALSE(drawn("中").eq(255).all().item<bool>());
  EXPECT_TRUE(drawn("a\xFF").equal(drawn("a\uFFFD"))) << "broken UTF-8";
  EXPECT_TRUE(drawn("a\n\u200Bb").equal(drawn("ab")));
}

TEST(TextDrawing, OtherTensorsAreErrors) {
  const Font font(kDefaultFont, 20);
  EXPECT_THROW(font.draw(torch::zeros({4, 4, 4}, torch::kUInt8), "a", {}), Error);
  EXPECT_THROW(font.draw(torch::zeros({4, 4, 3}), "a", {}), Error);
  EXPECT_THROW(font.draw(torch::zeros({3, 4, 4}, torch::kUInt8).permute({1, 2, 0}), "a", {}),
               Error);
}

TEST(TextDrawing, FontsThatAreMissingOrBrokenAreErrorsThatNameThem) {
  const testing::TemporaryFolder folder;
  const auto broken = testing::write_file(folder.path() / "broken.ttf", "no font at all");
  const auto error_of = [](const std::filesystem::path& path, double size) {
    return testing::message_of<Error>([&] { Font(path, size); });
  };
  EXPECT_THAT(error_of(folder.path() / "none.ttf", 12),
              AllOf(HasSubstr("none.ttf"), HasSubstr("no such file")));
  EXPECT_THAT(error_of(broken, 12), AllOf(HasSubstr("broken.ttf"), HasSubstr("no scalable font")));
  for (const double size : {0.0, -1.0, 1e6, std::nan("")}) {
    EXPECT_THROW(Font(kDefaultFont, size), InvalidRequest) << size;
  }
}

#endif

}  // namespace
}  // namespace fourstep
