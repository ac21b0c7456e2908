#include "data/emoji_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/draw.h"
#include "emoji_fixture.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

TEST(EmojiData, ExamplesAreTheSameInAnyOrderAndInAnotherObject) {
  const EmojiData a({}, {}, testing::default_groups()), b({}, {}, testing::default_groups());
  std::vector<EmojiData::Example> examples;
  for (int64_t i = 0; i < 10; ++i) examples.push_back(a.example(5, i, Split::kTraining));
  for (int64_t i = 9; i >= 0; --i) {
    const EmojiData::Example again = b.example(5, i, Split::kTraining);
    EXPECT_EQ(again.caption, examples[i].caption);
    EXPECT_EQ(again.scene, examples[i].scene);
    EXPECT_TRUE(torch::equal(again.image, examples[i].image));
  }
}

TEST(EmojiData, AnExampleIsItsSceneDrawnAndDescribed) {
  const EmojiData data({.image_size = 48}, {}, testing::default_groups());
  EXPECT_EQ(data.count(), static_cast<int64_t>(data.emoji().size()));
  const EmojiData::Example example = data.example(5, 3, Split::kHeldOut);
  EXPECT_EQ(example.scene, data.scene(5, 3, Split::kHeldOut));
  EXPECT_TRUE(is_held_out(data.config(), data.emoji(), example.scene));
  EXPECT_EQ(example.caption, make_caption(example.scene, data.emoji(), 5, 3));
  EXPECT_EQ(to_string(shape_of(example.image)), "[3,48,48]");
  EXPECT_TRUE(
      torch::equal(example.image, draw_scene(example.scene, data.emoji(), data.glyph(), 48)));
}

TEST(EmojiData, MissingFilesAndConfigurationsOutOfRangeAreErrors) {
  EmojiSources sources;
  sources.font = "/nowhere/a.ttf";
  EXPECT_THAT(testing::message_of<Error>([&] { EmojiData({}, sources, {}); }),
              HasSubstr("fonts-noto-color-emoji"));
  EXPECT_THROW(EmojiData({.pair_share = 2}, {}, testing::default_groups()), InvalidRequest);
}

TEST(EmojiData, NamesThatTheFontLacksAreErrors) {
  const testing::TemporaryFolder folder;
  EmojiSources sources;
  sources.emoji_test = testing::write_file(
      folder.path() / "a.txt", "# group: Objects\n0041 ; fully-qualified # A E1.0 letter\n");
  EXPECT_THAT(testing::message_of<Error>([&] { EmojiData({}, sources, {}); }),
              HasSubstr("has no \"letter\" (U+0041)"));
}

}  // namespace
}  // namespace fourstep
