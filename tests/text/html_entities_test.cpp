// Expected: html.unescape() of Python 3.11, and ftfy 6.3.1.
#include "text/html_entities.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(HtmlEntities, ClosedOnesNeedTheirSemicolon) {
  EXPECT_EQ(unescape_closed_entities(U"&amp; &lt;b&gt; &copy; &copy &CounterClockwise;"),
            U"& <b> \u00A9 &copy &CounterClockwise;");
  EXPECT_EQ(unescape_closed_entities(U"&amp;amp;"), U"&amp;") << "once";
  EXPECT_EQ(unescape_closed_entities(U"&NotEqualTilde; &fjlig;"), U"\u2242\u0338 fj");
}

TEST(HtmlEntities, CapitalsStandForNamesOfOneCase) {
  EXPECT_EQ(unescape_closed_entities(U"P&EACUTE;REZ &SZLIG; &HELLIP;"), U"P\u00C9REZ SS \u2026");
  EXPECT_EQ(unescape_closed_entities(U"&nTILDE; &LTIMES;"), U"&nTILDE; &LTIMES;");
}

TEST(HtmlEntities, NumbersFollowTheHtmlStandard) {
  EXPECT_EQ(unescape_closed_entities(U"&#65;&#x42;&#X43; &#128; &#0; &#xD800; &#99999999999;"),
            U"ABC \u20AC \uFFFD \uFFFD \uFFFD");
  EXPECT_EQ(unescape_closed_entities(U"&#7;|&#59;|&#12ab;|&#xZZ;|&#;|&;"),
            U"|&#59;|&#12ab;|&#xZZ;|&#;|&;");
}

TEST(HtmlEntities, OpenOnesAreThoseOfBrowsers) {
  EXPECT_EQ(unescape_entities(U"&copy &notit; &notin; &ampamp; &#65b &nosuch;"),
            U"\u00A9 \u00ACit; \u2209 &amp; Ab &nosuch;");
  EXPECT_EQ(unescape_entities(U"&"), U"&");
}

}  // namespace
}  // namespace fourstep
