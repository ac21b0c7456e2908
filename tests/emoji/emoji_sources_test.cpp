#include "emoji/emoji_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>
#include <set>
#include <thread>

#include "base/error.h"
#include "emoji/emoji_sources.h"
#include "emoji_fixture.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kNames = R"(# emoji-test.txt
# group: Food & Drink

# subgroup: food-prepared
1F355                                      ; fully-qualified     # 🍕 E0.6 pizza
1F336 FE0F                                 ; fully-qualified     # 🌶️ E0.7 hot pepper
1F336                                      ; unqualified         # 🌶 E0.7 hot pepper
1F9C0                                      ; fully-qualified     # 🧀 E1.0 cheese wedge
1F354                                      ; fully-qualified     # 🍔 E0.6 hamburger
1F999                                      ; fully-qualified     # 🦙 E16.0 food of the future
# group: Animals & Nature
# subgroup: animal-mammal
1F436                                      ; fully-qualified     # 🐶 E0.6 dog face
1F996                                      ; fully-qualified     # 🦖 E5.0 T-Rex
1F408 200D 2B1B                            ; fully-qualified     # 🐈‍⬛ E13.0 black cat
1F43B                                      ; fully-qualified     # 🐻 E0.6 pizza
# group: Objects
1F45A                                      ; fully-qualified     # 👚 E0.6 woman’s clothes
# group: Symbols
2705                                       ; fully-qualified     # ✅ E0.6 check mark button
# group: Flags
1F3C1                                      ; fully-qualified     # 🏁 E0.6 chequered flag
# group: Component
1F3FB                                      ; component           # 🏻 E1.0 light skin tone
)";

constexpr const char* kWords = R"(<?xml version="1.0" encoding="UTF-8" ?>
<!DOCTYPE ldml SYSTEM "../../common/dtd/ldml.dtd">
<ldml><annotations>
  <annotation cp="🍕">cheese | pizza | slice</annotation>
  <annotation cp="🍕" type="tts">pizza</annotation>
  <annotation cp="🧀">cheese | wine</annotation>
  <annotation cp="🍔">burger | wine | curious</annotation>
  <annotation cp="🐶">dog | face | pet</annotation>
</annotations></ldml>
)";

class EmojiList : public ::testing::Test {
 protected:
  EmojiList() {
    sources_.emoji_test = write("emoji-test.txt", kNames);
    sources_.annotations = write("en.xml", kWords);
  }

  std::filesystem::path write(const std::string& name, std::string_view text) const {
    return testing::write_file(folder_.path() / name, text);
  }

  std::vector<std::string> names(const std::vector<std::string>& groups) const {
    std::vector<std::string> names;
    for (const Emoji& emoji : read_emoji_list(sources_, groups)) names.push_back(emoji.name);
    return names;
  }

  std::string error() const {
    return testing::message_of<Error>([&] { read_emoji_list(sources_, {}); });
  }

  testing::TemporaryFolder folder_;
  EmojiSources sources_;
};

TEST_F(EmojiList, SingleFullyQualifiedEmojiAreTakenInTheOrderOfTheFile) {
  EXPECT_THAT(names({"Animals & Nature", "Food & Drink"}),
              ElementsAre("pizza", "hot pepper", "cheese wedge", "hamburger", "dog face", "t-rex"));
}

TEST_F(EmojiList, WithoutNamedGroupsSymbolsAndFlagsAreLeftOut) {
  EXPECT_THAT(names({}), ElementsAre("pizza", "hot pepper", "cheese wedge", "hamburger", "dog face",
                                     "t-rex", "woman's clothes"));
  EXPECT_THAT(names({"Symbols"}), ElementsAre("check mark button"));
  EXPECT_THAT(names({"Flags"}), IsEmpty());
}

TEST_F(EmojiList, SubgroupsAndNamesChooseToo) {
  EXPECT_THAT(names({"animal-mammal", "cheese wedge"}),
              ElementsAre("cheese wedge", "dog face", "t-rex"));
}

TEST_F(EmojiList, AnEntryHasItsCodeItsGroupAndItsSubgroup) {
  const Emoji pepper = read_emoji_list(sources_, {})[1];
  EXPECT_EQ(pepper.code, U'\U0001F336');
  EXPECT_EQ(pepper.group, "Food & Drink");
  EXPECT_EQ(pepper.subgroup, "food-prepared");
}

TEST_F(EmojiList, KeywordsAreThoseThatNameOneEmojiAlone) {
  const std::vector<Emoji> list = read_emoji_list(sources_, {});
  EXPECT_THAT(list[0].keywords, IsEmpty()) << "cheese is said of the wedge, slice names nothing";
  EXPECT_THAT(list[2].keywords, ElementsAre("cheese")) << "a word of its name, and of no other";
  EXPECT_THAT(list[3].keywords, ElementsAre("burger")) << "wine is said of two";
  EXPECT_THAT(list[4].keywords, ElementsAre("dog's face"));
}

TEST_F(EmojiList, AnUnknownGroupIsNamedWithTheKnownOnes) {
  const std::string message =
      testing::message_of<Error>([&] { read_emoji_list(sources_, {"Food"}); });
  EXPECT_THAT(message, HasSubstr("no emoji group, subgroup or name \"Food\""));
  EXPECT_THAT(message, HasSubstr("Food & Drink, Objects"));
}

TEST_F(EmojiList, MissingFilesAreNamedWithTheirPackage) {
  std::filesystem::remove(sources_.annotations);
  EXPECT_EQ(error(), "read_emoji_list(\"" + sources_.annotations.string() +
                         "\"): the file with the emoji's keywords is missing; install the Debian "
                         "package unicode-cldr-core");
  std::filesystem::remove(sources_.emoji_test);
  EXPECT_EQ(error(), "read_emoji_list(\"" + sources_.emoji_test.string() +
                         "\"): the file with the emoji's names is missing; install the Debian "
                         "package unicode-data");
}

TEST_F(EmojiList, ABrokenLineOfNamesIsNamedByItsNumber) {
  for (const std::string line :
       {"1F355", "1F355 ; fully-qualified", "1F355 ; fully-qualified # x", "# x ; y",
        "1F355 ; fully-qualified # x E1.0", "1F355 ; fully-qualified # x E1.0 ",
        "1F355 ; fully-qualified # x E1y pizza", "1F355 ; fully-qualified # x Enan",
        "XYZ ; fully-qualified # x E1.0 pizza", "110000 ; fully-qualified # x E1.0 pizza",
        " ; fully-qualified # x E1.0 pizza", "; #", "-1 ; fully-qualified # x E1.0 pizza"}) {
    if (line[0] == '#') continue;
    write("emoji-test.txt", "# group: a\n" + line + "\n");
    EXPECT_THAT(error(), HasSubstr("line 2 is not")) << line;
  }
}

TEST_F(EmojiList, FilesWithoutEmojiOrWordsAreErrors) {
  write("emoji-test.txt", "# nothing\n");
  EXPECT_THAT(error(), HasSubstr("no emoji in it"));
  write("emoji-test.txt", kNames);
  for (const char* text : {"", "<ldml>", "<ldml/>", "<a", "\xff\xfe"}) {
    write("en.xml", text);
    EXPECT_THAT(error(), HasSubstr("unicode-cldr-core")) << text;
  }
}

TEST(InstalledEmoji, TheDefaultGroupsHaveHundredsOfNamesEachOnce) {
  const std::vector<Emoji> list = read_emoji_list({}, testing::default_groups());
  EXPECT_GE(list.size(), 270U);
  std::set<std::string> names, keywords;
  for (const Emoji& emoji : list) {
    EXPECT_TRUE(names.insert(emoji.name).second) << emoji.name;
    EXPECT_LE(emoji.keywords.size(), 3U) << emoji.name;
    for (const std::string& keyword : emoji.keywords) {
      EXPECT_TRUE(keywords.insert(keyword).second) << keyword;
    }
  }
  for (const std::string& keyword : keywords) EXPECT_FALSE(names.contains(keyword)) << keyword;
  for (const char* name : {"pizza", "dog face", "hot pepper", "t-rex"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_GE(keywords.size(), 40U);
}

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
