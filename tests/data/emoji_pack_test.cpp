#include "data/emoji_pack.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

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

}  // namespace
}  // namespace fourstep
