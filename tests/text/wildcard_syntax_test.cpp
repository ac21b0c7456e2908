#include "text/wildcard_syntax.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(WildcardSyntax, RangesStandBeforeTwoDollars) {
  const auto choice = parse_choice("1-3$$ or $$a|b");
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->least, 1u);
  EXPECT_EQ(choice->most, 3u);
  EXPECT_EQ(choice->separator, " or ");
  EXPECT_EQ(choice->options, (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(parse_choice("2$$__x__")->separator, ",");
  EXPECT_EQ(parse_choice("4-$$a|b")->least, 4u);
  EXPECT_EQ(parse_choice("99999999999999999999|b")->options.size(), 2u);
  EXPECT_FALSE(parse_choice("a"));
  EXPECT_FALSE(parse_choice("-$$a")) << "no number: braces without a bar are text";
  EXPECT_THROW(parse_choice("-$$a|b"), InvalidRequest);
  EXPECT_THROW(parse_choice("99999999999999999999$$a|b"), InvalidRequest);
}

TEST(WildcardSyntax, NamesEndAtTheNextTwoUnderscores) {
  EXPECT_EQ(parse_name("__a/b-c__d__")->name, "a/b-c");
  EXPECT_EQ(parse_name("__hair color__")->name, "hair color");
  EXPECT_EQ(parse_name("__**/cloth?[a-z]__")->name, "**/cloth?[a-z]");
  EXPECT_EQ(parse_name("__{a|b}_${c}__x")->length, 14u);
  for (const char* text : {"__", "____", "__ a__", "__a __", "__a,b__", "__{a__", "_a_", ""}) {
    EXPECT_FALSE(parse_name(text)) << text;
  }
}

TEST(WildcardSyntax, VariablesAreSetOrUsed) {
  const auto set = parse_variable("a_1 ?=! b c");
  ASSERT_TRUE(set && set->value);
  EXPECT_EQ(set->name, "a_1");
  EXPECT_EQ(*set->value, "b c");
  EXPECT_TRUE(set->is_immediate && set->keeps_earlier);
  EXPECT_EQ(parse_variable("a:b")->fallback, "b");
  EXPECT_FALSE(parse_variable("a")->value);
  for (const char* text : {"", "1a", "a b", "a?", "{a|b}"}) EXPECT_FALSE(parse_variable(text));
}

}  // namespace
}  // namespace fourstep
