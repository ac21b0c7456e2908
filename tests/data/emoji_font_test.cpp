#include "data/emoji_font.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "data/emoji_list.h"
#include "emoji_fixture.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

constexpr char32_t kPizza = U'\U0001F355';

TEST(EmojiFont, EveryEmojiOfTheDefaultGroupsHasAPicture) {
  const EmojiFont font(EmojiSources{}.font);
  for (const Emoji& emoji : read_emoji_list({}, testing::default_groups())) {
    ASSERT_TRUE(font.has(emoji.code)) << emoji.name;
    const Tensor glyph = font.glyph(emoji.code);
    EXPECT_EQ(to_string(shape_of(glyph)), "[128,136,4]") << emoji.name;
    const Tensor alpha = glyph.select(2, 3);
    EXPECT_EQ(alpha.max().item<int64_t>(), 255) << emoji.name;
    EXPECT_GT(alpha.to(torch::kFloat).mean().item<double>(), 255 * 0.05) << emoji.name;
  }
}

TEST(EmojiFont, ColorsAreMultipliedByAlpha) {
  const Tensor glyph = EmojiFont(EmojiSources{}.font).glyph(kPizza);
  EXPECT_TRUE((glyph <= glyph.narrow(2, 3, 1)).all().item<bool>());
}

TEST(EmojiFont, APizzaIsYellowNotBlue) {
  const Tensor sums = EmojiFont(EmojiSources{}.font).glyph(kPizza).to(torch::kLong).sum({0, 1});
  EXPECT_GT(sums[0].item<int64_t>(), 2 * sums[2].item<int64_t>());  // red over blue
}

TEST(EmojiFont, AGlyphIsLoadedOnceAndByThreadsAlike) {
  const EmojiFont font(EmojiSources{}.font);
  Tensor a, b;
  std::thread other([&] { a = font.glyph(kPizza); });
  b = font.glyph(kPizza);
  other.join();
  EXPECT_TRUE(a.is_same(b));
}

TEST(EmojiFont, WhatTheFontLacksIsNamedByItsCode) {
  const EmojiFont font(EmojiSources{}.font);
  EXPECT_FALSE(font.has(U'A'));
  EXPECT_THAT(testing::message_of<Error>([&] { font.glyph(U'A'); }), HasSubstr("U+0041"));
}

TEST(EmojiFont, AMissingFontIsNamedWithItsPackage) {
  EXPECT_EQ(testing::message_of<Error>([] { EmojiFont("/nowhere/a.ttf"); }),
            "EmojiFont(\"/nowhere/a.ttf\"): the font with the emoji is missing; install the Debian "
            "package fonts-noto-color-emoji");
}

TEST(EmojiFont, OtherFilesAndPartsOfAFontAreErrors) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "a.ttf";
  const std::string whole = testing::read_file(EmojiSources{}.font);
  for (const size_t length : {size_t{0}, size_t{11}, size_t{300}, size_t{100000}}) {
    testing::write_file(path, whole.substr(0, length));
    EXPECT_THROW(EmojiFont(path).glyph(kPizza), Error) << length;
  }
  testing::write_file(path, "no font");
  EXPECT_THAT(testing::message_of<Error>([&] { EmojiFont{path}; }),
              HasSubstr("not a font with colour bitmaps"));
}

}  // namespace
}  // namespace fourstep
