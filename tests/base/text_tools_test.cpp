#include "base/text_tools.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(Trimmed, TakesBlanksOffBothEndsAlone) {
  EXPECT_EQ(trimmed(" \ta b\r\n"), "a b");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(trimmed(""), "");
}

TEST(JoinFirst, NamesThreeAndCountsTheRest) {
  EXPECT_EQ(join_first({"a"}), "a");
  EXPECT_EQ(join_first({"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(join_first({"a", "b", "c", "d", "e"}), "a, b, c and 2 more");
}

}  // namespace
}  // namespace fourstep
