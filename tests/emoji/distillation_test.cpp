#include "emoji/distillation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kGroups = "fruit;fox";
constexpr uint64_t kSceneSeed = 5, kSeed = 1;
constexpr int64_t kRows = 40, kSide = 16;

class EmojiLatentsTest : public ::testing::Test {
 protected:
  void SetUp() override { write_emoji_pack(pack_, data()); }

  /// Emoji without keywords, whose captions hold their names.
  EmojiData data() const {
    return EmojiData(scenes_,
                     {{U'\U0001F347', "grapes", {}, "food", "fruit"},
                      {U'\U0001F34B', "lemon", {}, "food", "fruit"},
                      {U'\U0001F34D', "pineapple", {}, "food", "fruit"},
                      {U'\U0001F98A', "fox", {}, "animals", "mammal"}},
                     [](char32_t) {
                       return torch::zeros({2, 2, 4}, torch::kUInt8);
                     });
  }

  /// Row i holds nothing but the number i.
  void write(const std::string& left_out = "") {
    Metadata metadata{{"emoji_groups", kGroups}, {"seed", std::to_string(kSceneSeed)}};
    visit_fields(scenes_, [&](const FieldInfo& info, const auto& value) {
      metadata[std::string(info.name)] = text_from_value(value);
    });
    metadata.erase(left_out);
    const Tensor numbers = torch::arange(kRows, torch::kFloat16).view({kRows, 1, 1, 1});
    write_safetensors(file_, {{"latents", numbers.expand({kRows, 4, 2, 2}).contiguous()}},
                      metadata);
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "latents.safetensors";
  std::filesystem::path pack_ = folder_.path() / "emoji.safetensors";
  SceneConfig scenes_{
      .pair_share = 1, .two_tone_share = 0.85, .image_size = 32};  // not the defaults
};

TEST_F(EmojiLatentsTest, CaptionsAreThoseOfTheScenesThatTheFileShows) {
  write();
  const RealBatch batch = EmojiLatents(file_, pack_, kSide).batch(kSeed, 3, 16);
  ASSERT_EQ(batch.latents.sizes(), (Shape{16, 4, 2, 2}));
  ASSERT_THAT(batch.captions, SizeIs(16));
  for (int64_t j = 0; j < 16; ++j) {
    const auto row = static_cast<int64_t>(batch.latents[j][0][0][0].item<float>());
    const Scene scene = data().scene(kSceneSeed, row, Split::kTraining);
    const std::string& caption = batch.captions[static_cast<size_t>(j)];
    for (const int64_t emoji : {scene.first.emoji, scene.second->emoji}) {
      EXPECT_THAT(caption, HasSubstr(data().emoji()[static_cast<size_t>(emoji)].name)) << row;
    }
  }
}

TEST_F(EmojiLatentsTest, ABatchDependsOnSeedAndIterationAlone) {
  write();
  const EmojiLatents real(file_, pack_, kSide);
  EXPECT_TRUE(torch::equal(real.batch(kSeed, 3, 8).latents, real.batch(kSeed, 3, 8).latents));
  EXPECT_FALSE(torch::equal(real.batch(kSeed, 3, 8).latents, real.batch(kSeed, 4, 8).latents));
  EXPECT_FALSE(torch::equal(real.batch(kSeed, 3, 8).latents, real.batch(2, 3, 8).latents));
}

TEST_F(EmojiLatentsTest, FilesThatDoNotSayWhatTheyShowAreRefused) {
  for (const char* key : {"emoji_groups", "seed", "pair_share"}) {
    write(key);
    EXPECT_THAT(testing::message_of<Error>([&] { EmojiLatents(file_, pack_, kSide); }),
                AllOf(HasSubstr(file_.string()), HasSubstr("does not say which scenes"),
                      HasSubstr(std::string("no \"") + key + "\"")));
  }
  write_safetensors(file_, {{"other", torch::zeros({1})}}, {});
  EXPECT_THAT(testing::message_of<Error>([&] { EmojiLatents(file_, pack_, kSide); }),
              HasSubstr("has no tensor \"latents\" of four dimensions"));
}

TEST_F(EmojiLatentsTest, LatentsOfAnotherSizeAreRefused) {
  write();
  EXPECT_THAT(testing::message_of<Error>([&] { EmojiLatents(file_, pack_, 32); }),
              AllOf(HasSubstr(file_.string()), HasSubstr("32 px")));
}

}  // namespace
}  // namespace fourstep
