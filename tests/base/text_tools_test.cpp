#include "base/text_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourstep {

namespace {

TEST(Trimmed, TakesBlanksOffBothEndsAlone) {
  EXPECT_EQ(trimmed(" \ta b\r\n"), "a b");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(trimmed(""), "");
}

TEST(FiniteNumber, IsTheWholeTextButForBlanksAndAPlusSign) {
  EXPECT_EQ(finite_number(" +1.5e1\n"), 15);
  EXPECT_EQ(finite_number("-0.85"), -0.85);
  for (const char* text : {"", " ", "+", "+-1", "1x", "1 2", "nan", "inf", "1e999"}) {
    EXPECT_EQ(finite_number(text), std::nullopt) << text;
  }
}

TEST(JoinFirst, NamesThreeAndCountsTheRest) {
  EXPECT_EQ(join_first({"a"}), "a");
  EXPECT_EQ(join_first({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(join_first({"a", "b", "c", "d", "e"}), "a, b, c and 2 more");
}

std::string encode(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

TEST(Utf8, SurvivesTheRoundTrip) {
  const std::u32string text = U"a\u007F\u0080\u07FF\u0800\uFFFD\U00010000\U0010FFFF";
  EXPECT_EQ(decode_utf8(encode(text)), text);
}

TEST(Utf8, EachIllFormedPartBecomesOneReplacement) {
  EXPECT_EQ(decode_utf8("a\x80z"), U"a\uFFFDz");                            // lone continuation
  EXPECT_EQ(decode_utf8("a\xC3"), U"a\uFFFD");                              // cut at the end
  EXPECT_EQ(decode_utf8("\xE2\x82z"), U"\uFFFDz");                          // cut before z
  EXPECT_EQ(decode_utf8("\xC0\xAF"), U"\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(decode_utf8("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(decode_utf8("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  EXPECT_EQ(decode_utf8("\xFF\xFE"), U"\uFFFD\uFFFD");
}

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EditDistance, CountsInsertionsDeletionsAndChanges) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);  // the textbooks' example
  EXPECT_EQ(edit_distance("abc", ""), 3u);
}

TEST(NearestOf, PutsTheLikestFirstAndEachOnce) {
  EXPECT_THAT(nearest_of("stepps", {"sigmas", "steps", "seed", "steps", "cfg-scale"}, 2),
              ElementsAre("steps", "sigmas"));  // "seed" is as far away, and stands later
  EXPECT_THAT(nearest_of("EULER", {"heun", "euler"}, 1), ElementsAre("euler"));
  EXPECT_THAT(nearest_of("negativ", {"vae-tile", "negative-prompt", "native"}, 1),
              ElementsAre("negative-prompt"));
  EXPECT_THAT(nearest_of("x", {}), IsEmpty());
}

TEST(DidYouMean, IsPartOfASentence) {
  EXPECT_EQ(did_you_mean("stepps", {"steps"}), "; did you mean steps?");
  EXPECT_EQ(did_you_mean("a", {"aa", "ab", "ac", "zzzzzz"}), "; did you mean aa, ab or ac?");
  EXPECT_EQ(did_you_mean("a", {}), "");
}

}  // namespace

}  // namespace fourstep
