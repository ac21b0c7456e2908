#include "emoji/caption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>
#include <map>
#include <set>

#include "base/fields.h"
#include "emoji_fixture.h"

namespace fourstep {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

enum Color : int64_t { kWhite = 0, kRed = 3, kOrange = 4, kBlue = 8 };
enum Thing : int64_t { kPizza = 0, kDogFace = 1, kEgg = 2, kGrapes = 3, kDoughnut = 5 };

const Background kOnBlue = {BackgroundKind::kPlain, kBlue, kBlue, false};
const Background kFade = {BackgroundKind::kGradient, kRed, kBlue, true};
const Background kHalves = {BackgroundKind::kTwoTone, kOrange, kBlue, false};

Scene single(int64_t emoji, const Background& background, Placed placed = {.size = 0.7}) {
  placed.emoji = emoji;
  return {placed, std::nullopt, Relation::kNone, background};
}

Scene pair(int64_t first, Relation relation, int64_t second, const Background& background) {
  return {Placed{.emoji = first}, Placed{.emoji = second}, relation, background};
}

std::string main_of(const Scene& scene) { return main_caption(scene, testing::small_emoji()); }

/// All captions that a scene gets in `count` draws, and how often.
std::map<std::string, int64_t> captions_of(const Scene& scene, int64_t count = 2000) {
  const auto emoji = testing::small_emoji();
  std::map<std::string, int64_t> captions;
  for (int64_t i = 0; i < count; ++i) ++captions[make_caption(scene, emoji, 3, i)];
  return captions;
}

TEST(MainCaption, SaysWhatIsOnWhich) {
  EXPECT_EQ(main_of(single(kPizza, kOnBlue)), "a pizza on a blue background");
  EXPECT_EQ(main_of(single(kEgg, {BackgroundKind::kPlain, kOrange, kOrange, false})),
            "an egg on an orange background");
  EXPECT_EQ(main_of(single(kGrapes, kFade)), "grapes on a background that fades from red to blue");
  EXPECT_EQ(main_of(single(kPizza, kHalves)), "a pizza on a half orange, half blue background");
}

TEST(MainCaption, SaysSizeAndPlaceWhereTheyAreUnusual) {
  EXPECT_EQ(main_of(single(kPizza, kOnBlue, {.size = 0.4})), "a small pizza on a blue background");
  EXPECT_EQ(main_of(single(kEgg, kOnBlue, {.size = 0.88})), "a large egg on a blue background");
  EXPECT_EQ(main_of(single(kPizza, kOnBlue, {.center_x = 0.25, .center_y = 0.75, .size = 0.5})),
            "a pizza in the bottom left corner, on a blue background");
  EXPECT_EQ(main_of(single(kPizza, kFade, {.center_x = 0.8, .center_y = 0.5, .size = 0.4})),
            "a small pizza on the right side, on a background that fades from red to blue");
  EXPECT_EQ(main_of(single(kPizza, kOnBlue, {.center_x = 0.5, .center_y = 0.3, .size = 0.5})),
            "a pizza at the top, on a blue background");
}

TEST(MainCaption, SaysHowTwoStand) {
  EXPECT_EQ(main_of(pair(kPizza, Relation::kLeftOf, kDogFace, kFade)),
            "a pizza to the left of a dog face, on a background that fades from red to blue");
  EXPECT_EQ(main_of(pair(kGrapes, Relation::kRightOf, kEgg, kOnBlue)),
            "grapes to the right of an egg, on a blue background");
  EXPECT_EQ(main_of(pair(kEgg, Relation::kAbove, kPizza, kHalves)),
            "an egg above a pizza, on a half orange, half blue background");
  EXPECT_EQ(main_of(pair(kEgg, Relation::kBelow, kPizza, kOnBlue)),
            "an egg below a pizza, on a blue background");
}

TEST(Captions, IsPinned) {
  const auto emoji = testing::small_emoji();
  const Scene scene = single(kDoughnut, kFade, {.center_x = 0.2, .center_y = 0.2, .size = 0.4});
  EXPECT_EQ(make_caption(scene, emoji, 42, 0),
            "a doughnut in the top left corner, on a red to blue gradient");
  EXPECT_EQ(make_caption(scene, emoji, 42, 1),
            "a small donut in the top left corner, on a background that fades from red at the top "
            "to blue at the bottom");
  EXPECT_EQ(make_caption(scene, emoji, 43, 1), "a doughnut in the top left corner");
}

TEST(Captions, OfASingleEmojiHaveManyFormsAndTheCanonicalOneMostOften) {
  const auto captions = captions_of(single(kPizza, kOnBlue));
  for (const char* form :
       {"pizza, blue background", "a picture of a pizza on blue", "a pizza on blue",
        "pizza emoji on a blue background", "an emoji of a pizza on a blue background",
        "a blue background with a pizza", "a pizza", "pizza",
        "a picture of a pizza on a plain blue background"}) {
    EXPECT_TRUE(captions.contains(form)) << form;
  }
  const auto most = std::max_element(captions.begin(), captions.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  EXPECT_EQ(most->first, "a pizza on a blue background");
}

TEST(Captions, BackgroundsSayTheirDirectionNowAndThen) {
  EXPECT_TRUE(captions_of(single(kPizza, kFade))
                  .contains("a pizza on a background that fades from red at the top to blue at the "
                            "bottom"));
  EXPECT_TRUE(captions_of(single(kPizza, kHalves))
                  .contains("a pizza on a background that is orange on the left and blue on the "
                            "right"));
  EXPECT_TRUE(
      captions_of(single(kPizza, kHalves)).contains("pizza, half orange, half blue background"));
  EXPECT_TRUE(captions_of(single(kPizza, kFade)).contains("a pizza on a red to blue gradient"));
}

TEST(Captions, KeywordsStandForTheName) {
  const auto captions = captions_of(single(kDoughnut, kOnBlue));
  EXPECT_TRUE(captions.contains("a donut on a blue background"));
  int64_t keyword = 0;
  for (const auto& [caption, count] : captions) {
    if (caption.find("donut") != std::string::npos) keyword += count;
  }
  EXPECT_NEAR(keyword, 500, 100);  // a quarter of 2,000
}

TEST(Captions, RelationsAreSaidFromBothSidesAndAreTrue) {
  const auto captions = captions_of(pair(kPizza, Relation::kLeftOf, kEgg, kOnBlue));
  for (const char* form :
       {"a pizza to the left of an egg, on a blue background",
        "an egg to the right of a pizza, on a blue background",
        "egg right of pizza, blue background", "a pizza on the left and an egg on the right",
        "an egg on the right and a pizza on the left"}) {
    EXPECT_TRUE(captions.contains(form)) << form;
  }
  for (const auto& [caption, count] : captions) {
    EXPECT_THAT(caption, Not(AnyOf(HasSubstr("pizza to the right"), HasSubstr("pizza right of"),
                                   HasSubstr("egg to the left"), HasSubstr("egg left of"),
                                   HasSubstr("above"), HasSubstr("below"))));
  }
  const auto stacked = captions_of(pair(kPizza, Relation::kBelow, kEgg, kOnBlue));
  EXPECT_TRUE(stacked.contains("an egg at the top and a pizza at the bottom, on blue"));
  EXPECT_TRUE(stacked.contains("a pizza under an egg, on a blue background"));
}

TEST(Captions, SizeAndPlaceAreLeftOutNowAndThenAndNeverFalse) {
  const auto small =
      captions_of(single(kPizza, kOnBlue, {.center_x = 0.2, .center_y = 0.2, .size = 0.4}), 5000);
  EXPECT_TRUE(small.contains("a pizza on a blue background"));
  EXPECT_TRUE(small.contains("a tiny pizza in the top left corner, on a blue background"));
  for (const auto& [caption, count] : small) {
    EXPECT_THAT(caption, Not(AnyOf(HasSubstr("large"), HasSubstr("big"), HasSubstr("right"))));
  }
  for (const auto& [caption, count] : captions_of(single(kPizza, kOnBlue))) {
    EXPECT_THAT(caption, Not(AnyOf(HasSubstr("small"), HasSubstr("large"), HasSubstr("corner"),
                                   HasSubstr("side"), HasSubstr("top"))));
  }
}

TEST(CaptionWords, AreAllThatCaptionsConsistOf) {
  const auto emoji = testing::small_emoji();
  const std::vector<std::string> list = caption_words(emoji);
  EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
  const std::set<std::string> words(list.begin(), list.end());
  EXPECT_EQ(words.size(), list.size());
  std::set<std::string> used;
  for (int64_t i = 0; i < 20000; ++i) {
    const Scene scene = make_scene({}, emoji, 9, i, Split::kTraining);
    std::string caption = make_caption(scene, emoji, 9, i) + " " + main_caption(scene, emoji);
    std::erase(caption, ',');
    for (std::string& word : split_text(caption, ' ')) used.insert(std::move(word));
  }
  EXPECT_EQ(used, words);
}

TEST(English, ArticlesFollowTheSound) {
  for (const char* phrase :
       {"egg", "apple", "ox", "owl", "umbrella", "orange pizza", "x-ray", "hourglass", "onion"}) {
    EXPECT_EQ(indefinite_article(phrase), "an") << phrase;
  }
  for (const char* phrase : {"pizza", "unicorn", "ewe", "euro banknote", "one-piece swimsuit",
                             "t-rex", "honeybee", "small egg", ""}) {
    EXPECT_EQ(indefinite_article(phrase), "a") << phrase;
  }
}

TEST(English, PluralsAndMassesHaveNoArticle) {
  for (const char* noun :
       {"grapes", "french fries", "chopsticks", "paw prints", "clinking beer mugs", "bread",
        "popcorn", "ice cream", "mountains with snow"}) {
    EXPECT_TRUE(is_without_article(noun)) << noun;
  }
  for (const char* noun : {"octopus", "cactus", "hippopotamus", "rhinoceros", "wine glass",
                           "nest with eggs", "sheaf of rice", "dog's face", "hibiscus",
                           "cup with straw", "fork and knife with plates"}) {
    EXPECT_FALSE(is_without_article(noun)) << noun;
  }
}

TEST(English, TheArticleStandsBeforeTheAdjective) {
  EXPECT_EQ(noun_phrase("", "egg"), "an egg");
  EXPECT_EQ(noun_phrase("small", "egg"), "a small egg");
  EXPECT_EQ(noun_phrase("large", "grapes"), "large grapes");
  EXPECT_EQ(noun_phrase("", "ear of corn"), "an ear of corn");
}

}  // namespace
}  // namespace fourstep
