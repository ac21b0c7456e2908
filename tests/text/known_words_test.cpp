#include "text/known_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(UnknownWords, AreThoseTheCaptionsNeverHad) {
  EXPECT_THAT(unknown_words("a red fox in the snow", "a red fox on"),
              ElementsAre("in", "the", "snow"));
  EXPECT_THAT(unknown_words("a red fox", "a red fox on"), IsEmpty());
  EXPECT_THAT(unknown_words("", "a"), IsEmpty());
}

TEST(UnknownWords, NeitherCaseNorPunctuationNorNumbersCount) {
  EXPECT_THAT(unknown_words("A Fox, (fox:1.2) [FOX]!", "a fox"), IsEmpty());
  EXPECT_THAT(unknown_words("t-rex's 12", "t-rex"), ElementsAre("t-rex's"));
  EXPECT_THAT(unknown_words("a piñata", "a Piñata"), IsEmpty()) << "bytes beyond ASCII are kept";
}

TEST(UnknownWords, EachIsNamedOnce) {
  EXPECT_THAT(unknown_words("snow, snow and Snow", "a"), ElementsAre("snow", "and"));
}

}  // namespace
}  // namespace fourstep
