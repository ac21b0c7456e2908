#include "report/text_drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/table.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

double count(std::string_view text) { return static_cast<double>(display_width(text)); }

std::vector<std::string> wrap(std::string_view text, double width, int64_t max_lines) {
  return wrap_text(text, width, max_lines, count);
}

TEST(TextWrapping, LinesBreakAtBlanks) {
  EXPECT_THAT(wrap("the quick brown fox", 9, 9), ElementsAre("the quick", "brown fox"));
  EXPECT_THAT(wrap("the quick brown fox", 8, 9), ElementsAre("the", "quick", "brown", "fox"));
  EXPECT_THAT(wrap("  two   words ", 20, 9), ElementsAre("two   words"));
  EXPECT_THAT(wrap("", 9, 9), IsEmpty());
  EXPECT_THAT(wrap("   ", 9, 9), IsEmpty());
}

TEST(TextWrapping, LongWordsAreBrokenInside) {
  EXPECT_THAT(wrap("abcdefghij", 4, 9), ElementsAre("abcd", "efgh", "ij"));
  EXPECT_THAT(wrap("äöüßéè", 2, 9), ElementsAre("äö", "üß", "éè")) << "never inside a character";
}

TEST(TextWrapping, LineBreaksInTheTextAreKept) {
  EXPECT_THAT(wrap("cfg 1.5\nseed 3", 20, 9), ElementsAre("cfg 1.5", "seed 3"));
  EXPECT_THAT(wrap("a\n\nb", 20, 9), ElementsAre("a", "", "b"));
  EXPECT_THAT(wrap("a\r\nb\tc", 20, 9), ElementsAre("a", "b c"));
}

TEST(TextWrapping, WhatDoesNotFitEndsInAnEllipsis) {
  EXPECT_THAT(wrap("the quick brown fox", 9, 1), ElementsAre("the quic…"));
  EXPECT_THAT(wrap("the quick brown fox", 10, 1), ElementsAre("the quick…"));
  EXPECT_THAT(wrap("the quick brown fox jumps", 9, 2), ElementsAre("the quick", "brown fo…"));
  EXPECT_THAT(wrap("a\nb\nc", 9, 2), ElementsAre("a", "b c"));
  EXPECT_THAT(wrap("anything", 9, 0), IsEmpty());
}

TEST(TextWrapping, ElidedTextsAreNotWiderThanAsked) {
  EXPECT_EQ(elide_text("abc", 3, count), "abc");
  EXPECT_EQ(elide_text("abcd", 3, count), "ab…");
  EXPECT_EQ(elide_text("abcd", 0, count), "…");
  EXPECT_EQ(elide_text("", 0, count), "");
  const std::string text(5000, 'x');
  for (const double width : {1.0, 2.0, 77.0, 4999.0}) {
    EXPECT_EQ(count(elide_text(text, width, count)), width);
  }
}

TEST(TextWrapping, NarrowLinesHoldOneCharacter) {
  EXPECT_THAT(wrap("ab c", 0, 9), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace fourstep
