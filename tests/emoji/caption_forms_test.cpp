#include "emoji/caption_forms.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

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
