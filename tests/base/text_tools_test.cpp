#include "base/text_tools.h"

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

}  // namespace
}  // namespace fourstep
