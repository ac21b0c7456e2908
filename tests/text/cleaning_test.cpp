#include "text/cleaning.h"

#include <gtest/gtest.h>

#include "text/unicode.h"

namespace fourstep {

namespace {

TEST(Cleaning, TextRepairStraightensQuotesAndSplitsLigatures) {
  EXPECT_EQ(clean_text("\u201CIt\u2019s\u201D \uFB02uffy", Cleaning::kSlowFtfy),
            U"\"it's\" fluffy");
  EXPECT_EQ(clean_text("rock\u02BCn\u02BCroll \u0149", Cleaning::kOpenAi), U"rock'n'roll 'n");
  EXPECT_EQ(clean_text("\uFF21\uFF22", Cleaning::kOpenAi), U"ab");
}

TEST(Cleaning, TextRepairDropsControlsAndColourCodes) {
  EXPECT_EQ(clean_text("\x1B[1;31mred\x1B[0m\x01 \uFEFF"
                       "dog",
                       Cleaning::kSlowFtfy),
            U"red dog");
  EXPECT_EQ(clean_text("\x1B[12", Cleaning::kSlowFtfy), U"[12");  // cut code: the letter is missing
}

TEST(Cleaning, ControlsOfWindows1252BecomeItsCharacters) {
  EXPECT_EQ(clean_text("a\u0085b\u0080", Cleaning::kSlowFtfy), U"a\u2026b\u20AC");
}

TEST(Cleaning, EntitiesByNameAndNumber) {
  EXPECT_EQ(clean_text("tea &amp; &eacute;&#65;&#x42;&hellip;", Cleaning::kSlowFtfy),
            U"tea & \u00E9ab\u2026");
  EXPECT_EQ(clean_text("&nosuch; &; &#; &#xZZ; & &amp", Cleaning::kSlowFtfy),
            U"&nosuch; &; &#; &#xzz; & &amp");
  EXPECT_EQ(clean_text("&#99999999;&#xD800;", Cleaning::kOpenAi), U"\uFFFD\uFFFD");
}

TEST(Cleaning, TextRepairLeavesTheEntitiesOfHtmlAlone) {
  EXPECT_EQ(clean_text("<b> &amp;", Cleaning::kSlowFtfy), U"<b> &amp;");
  EXPECT_EQ(clean_text("<b> &amp;", Cleaning::kOpenAi), U"<b> &");
}

TEST(Cleaning, SlowBasicDropsControlsAndSpacesOutIdeographs) {
  EXPECT_EQ(clean_text("a\x01\u732B"
                       "b\tc",
                       Cleaning::kSlowBasic),
            U"a \u732B b\tc");
}

TEST(TextRepair, RepeatsUntilNothingChanges) {
  EXPECT_EQ(repair_text(U"&amp;amp;amp;"), U"&");
  EXPECT_EQ(repair_text(U"&amp; &lt;b&gt; &amp;amp; &copy;"), U"& <b> & \u00A9");
  EXPECT_EQ(repair_text(U"&ATILDE;&SUP3;"), U"\u00F3") << "entities, then wrongly decoded text";
}

TEST(TextRepair, FromTheFirstAngleOnEntitiesStay) {
  EXPECT_EQ(repair_text(U"&amp;\n<b> &amp;\n&amp;"), U"&\n<b> &amp;\n&amp;");
}

TEST(TextRepair, WidthIsThatOfOrdinaryText) {
  EXPECT_EQ(repair_text(U"1girl\uFF0Cred\u3000\uFF21"), U"1girl,red A");
  EXPECT_EQ(repair_text(U"\uFF76\uFF9E"), U"\u30AC") << "composed after widening";
}

TEST(TextRepair, MarksOfOrderAndControlsVanish) {
  EXPECT_EQ(repair_text(U"\uFEFFa\x01\u206A\uFFFC\x1B[31mb"), U"ab");
  EXPECT_EQ(repair_text(U"a\u2028b\u0085"), U"a\nb\u2026");
}

}  // namespace

}  // namespace fourstep
