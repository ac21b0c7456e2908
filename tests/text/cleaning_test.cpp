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

}  // namespace
}  // namespace fourstep
