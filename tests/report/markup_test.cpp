#include "report/markup.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(Markup, EscapesWhatMarkupReads) {
  EXPECT_EQ(escape_markup("a < b & c > \"d\" 'e'"),
            "a &lt; b &amp; c &gt; &quot;d&quot; &#39;e&#39;");
  EXPECT_EQ(escape_markup("日本 é 😀"), "日本 é 😀");
}

TEST(Markup, WhatXmlForbidsIsReplaced) {
  EXPECT_EQ(escape_markup(std::string_view("a\0b", 3)), "a\uFFFDb");
  EXPECT_EQ(escape_markup("a\x1b[0m\xFF"), "a\uFFFD[0m\uFFFD");
  EXPECT_EQ(escape_markup("\t\n\r"), "\t\n\r");
  EXPECT_EQ(escape_markup("\xEF\xBF\xBE"), "\uFFFD") << "U+FFFE";
}

TEST(Markup, CoordinatesAreShort) {
  EXPECT_EQ(coordinate(12), "12");
  EXPECT_EQ(coordinate(12.5), "12.5");
  EXPECT_EQ(coordinate(1.0 / 3), "0.33");
  EXPECT_EQ(coordinate(100), "100");
  EXPECT_EQ(coordinate(-0.001), "0");
}

TEST(Markup, TerminalWidthsCountWideAndCombiningCharacters) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("äöü…"), 4U);
  EXPECT_EQ(display_width("日本"), 4U);
  EXPECT_EQ(display_width("e\u0301"), 1U);
  EXPECT_EQ(display_width("😀"), 2U);
}

}  // namespace
}  // namespace fourstep
