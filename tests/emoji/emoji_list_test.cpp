#include "emoji/emoji_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Emoji> some_emoji() {
  return {{U'a', "pizza", {}, "Food & Drink", "food-prepared"},
          {U'b', "lemon", {}, "Food & Drink", "food-fruit"},
          {U'c', "fox", {}, "Animals & Nature", "animal-mammal"},
          {U'd', "bear", {}, "Animals & Nature", "animal-mammal"}};
}

std::vector<std::string> kept(const std::vector<std::string>& wanted) {
  std::vector<Emoji> list = some_emoji();
  EXPECT_EQ(keep_wanted(list, wanted), std::nullopt);
  std::vector<std::string> names;
  for (const Emoji& emoji : list) names.push_back(emoji.name);
  return names;
}

TEST(EmojiChoice, GroupsSubgroupsAndNamesChooseInTheOrderOfTheList) {
  EXPECT_THAT(kept({"Food & Drink"}), ElementsAre("pizza", "lemon"));
  EXPECT_THAT(kept({"fox", "food-fruit"}), ElementsAre("lemon", "fox"));
  EXPECT_THAT(kept({"bear", "animal-mammal", "bear"}), ElementsAre("fox", "bear"));
  EXPECT_THAT(kept({}), IsEmpty());
}

TEST(EmojiChoice, ANameThatNoEmojiHasIsReturned) {
  std::vector<Emoji> list = some_emoji();
  EXPECT_EQ(keep_wanted(list, {"fox", "food"}), "food");
}

TEST(EmojiChoice, GivenGroupsWinOverTheModelsAndTheseOverTheDefault) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path model = folder.path() / "groups.safetensors";
  testing::write_tiny_sdxl(
      model, [](Checkpoint& checkpoint) { checkpoint.metadata[kEmojiGroupsKey] = "Objects"; });
  EXPECT_EQ(emoji_groups_of("", ""), kDefaultEmojiGroups);
  EXPECT_EQ(emoji_groups_of("", model), "Objects");
  EXPECT_EQ(emoji_groups_of("Activities", model), "Activities");
}

}  // namespace
}  // namespace fourstep
