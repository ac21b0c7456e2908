// Expected: fix_text() of ftfy 6.3.1.
#include "text/text_repair.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

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
