#include "emoji/emoji_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "emoji/draw.h"
#include "emoji_fixture.h"
#include "io/safetensors.h"
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

constexpr const char* kFood = "Food & Drink";

class EmojiPackTest : public ::testing::Test {
 protected:
  std::filesystem::path written(const std::string& groups) {
    write_emoji_pack(file_, open_emoji_data({.image_size = 32}, groups, ""));
    return file_;
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "emoji.safetensors";
};

TEST_F(EmojiPackTest, ScenesOfAPackAreThoseOfTheFont) {
  const EmojiData font = open_emoji_data({.image_size = 32}, kFood, "");
  const EmojiData pack = open_emoji_data({.image_size = 32}, kFood, written(kFood));
  ASSERT_EQ(pack.count(), font.count());
  for (int64_t i = 0; i < 20; ++i) {
    const EmojiData::Example a = font.example(3, i, Split::kTraining),
                             b = pack.example(3, i, Split::kTraining);
    EXPECT_EQ(a.caption, b.caption);
    EXPECT_EQ(a.scene, b.scene);
    EXPECT_TRUE(torch::equal(a.image, b.image)) << a.caption;
  }
}

TEST_F(EmojiPackTest, AGroupThatThePackLacksIsNamed) {
  written(kFood);
  EXPECT_THAT(testing::message_of<Error>([&] { open_emoji_data({}, "Objects", file_); }),
              HasSubstr("\"Objects\""));
}

TEST_F(EmojiPackTest, OtherFilesAreRefusedWithTheKeyThatIsNoEmoji) {
  const Tensor glyph = torch::zeros({2, 2, 4}, torch::kUInt8);
  const auto message = [&](const NamedTensors& tensors,
                           const std::map<std::string, std::string>& words) {
    write_safetensors(file_, tensors, words);
    return testing::message_of<Error>([&] { read_emoji_pack(file_); });
  };
  EXPECT_THAT(message({{"latents", glyph}}, {}), HasSubstr("\"latents\""));
  EXPECT_THAT(message({{"0000 U+41", glyph}}, {}), HasSubstr("U+41")) << "no words";
  EXPECT_THAT(message({{"0000 U+41", glyph}}, {{"0000 U+41", "letter"}}), HasSubstr("U+41"));
  EXPECT_THAT(message({{"0000 U+4x", glyph}}, {{"0000 U+4x", "a|b|c"}}), HasSubstr("U+4x"));
  EXPECT_THAT(message({{"0000 U+41", glyph[0]}}, {{"0000 U+41", "a|b|c"}}), HasSubstr("U+41"));
  EXPECT_THAT(message({}, {}), HasSubstr("an empty file"));
}

const EmojiData& food() {
  static const EmojiData data({.image_size = 32}, {}, {"Food & Drink"});
  return data;
}

TEST(Pictures, ABatchIsItsScenesDrawn) {
  std::vector<Scene> scenes;
  for (int64_t i = 0; i < 3; ++i) scenes.push_back(food().scene(1, i, Split::kTraining));
  const Tensor images = draw_scenes(food(), scenes, 24);
  EXPECT_EQ(shape_of(images), (Shape{3, 3, 24, 24}));
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor one =
        draw_scene(scenes[static_cast<size_t>(i)], food().emoji(), food().glyph(), 24);
    EXPECT_TRUE(torch::equal(images[i], one));
  }
}

TEST(Pictures, AtHalfTheSideAreTheAveragesOfFourPixels) {
  const Scene scene = food().scene(1, 0, Split::kTraining);
  const Tensor large = draw_scenes(food(), std::span(&scene, 1), 64);
  const Tensor small = draw_scenes(food(), std::span(&scene, 1), 32);
  // Both average the same bitmap over areas; single pixels differ where the bitmap's edge is cut otherwise.
  EXPECT_LT((at::avg_pool2d(large, 2) - small).abs().max().item<double>(), 0.02);
}

TEST(Pictures, ScenesOfACaptionDifferInWhatItDoesNotSay) {
  for (int64_t i = 0; i < 12; ++i) {
    const Scene scene = food().scene(3, i, Split::kTraining);
    const std::vector<Scene> scenes = scenes_of_caption(food(), scene, 3, 9);
    ASSERT_EQ(scenes.size(), 3u);
    EXPECT_EQ(scenes[0], scene);
    EXPECT_NE(scenes[1], scenes[2]);
    for (const Scene& one : scenes) {
      EXPECT_EQ(main_caption(one, food().emoji()), main_caption(scene, food().emoji()));
    }
  }
}

}  // namespace
}  // namespace fourstep
