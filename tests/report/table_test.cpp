#include "report/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "xml_elements.h"

namespace fourstep {

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Table simple_table() {
  Table table;
  table.columns = {{"run"}, {"FD", Align::kRight}, {"ok", Align::kCenter}};
  table.rows = {{"coupled, w=2", "822", "no"}, {"hybrid", "109"}};
  return table;
}

TEST(Tables, MarkdownIsAlignedInSourceAndRendering) {
  EXPECT_EQ(markdown_from_table(simple_table()),
            "| run          |  FD | ok  |\n"
            "| ------------ | --: | :-: |\n"
            "| coupled, w=2 | 822 | no  |\n"
            "| hybrid       | 109 |     |\n");
}

TEST(Tables, MarkdownEscapesWhatWouldEndACell) {
  Table table;
  table.columns = {{"a|b"}};
  table.rows = {{"x\\|y"}, {"one\r\ntwo"}};
  const std::string text = markdown_from_table(table);
  EXPECT_THAT(text, HasSubstr("| a\\|b "));
  EXPECT_THAT(text, HasSubstr("| x\\\\\\|y "));
  EXPECT_THAT(text, HasSubstr("| one<br>two |"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
}

TEST(Tables, TextIsPaddedForTerminals) {
  EXPECT_EQ(text_from_table(simple_table()),
            "run            FD  ok\n"
            "------------  ---  --\n"
            "coupled, w=2  822  no\n"
            "hybrid        109\n");
}

TEST(Tables, WideCharactersTakeTwoColumnsOfATerminal) {
  Table table;
  table.columns = {{"prompt"}, {"n"}};
  table.rows = {{"日本", "1"}, {"café", "2"}};
  EXPECT_EQ(text_from_table(table),
            "prompt  n\n"
            "------  -\n"
            "日本    1\n"
            "café    2\n");
}

TEST(Tables, CellsCannotSteerTheTerminal) {
  Table table;
  table.columns = {{"a"}};
  table.rows = {{"x\x1b[31m\n\xC2\x9By"}};
  const std::string text = text_from_table(table);
  EXPECT_THAT(text, HasSubstr("x [31m  y"));
}

TEST(Tables, HtmlIsWellFormedAndEscaped) {
  Table table = simple_table();
  table.rows[1] = {"<b>&", "1\n2"};
  const auto elements = testing::parse_xml(html_from_table(table));
  std::vector<std::string> cells;
  for (const auto& element : elements) {
    if (element.name == "td") cells.push_back(element.text);
  }
  EXPECT_EQ(cells, (std::vector<std::string>{"coupled, w=2", "822", "no", "<b>&", "12", ""}));
  EXPECT_EQ(testing::with_class(elements, "right").size(), 3U);
  EXPECT_THAT(html_from_table(table), HasSubstr("1<br>2"));
  EXPECT_THAT(html_from_table(table), Not(HasSubstr("<b>")));
}

TEST(Tables, RowsLongerThanTheTableAreRefused) {
  Table table = simple_table();
  table.rows[0].resize(4);
  EXPECT_THROW(markdown_from_table(table), InvalidRequest);
  EXPECT_THROW(text_from_table(table), InvalidRequest);
  EXPECT_THROW(html_from_table(table), InvalidRequest);
}

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
