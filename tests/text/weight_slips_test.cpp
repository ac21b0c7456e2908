#include "text/weight_slips.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(WeightSlip, IsFoundInRoundBrackets) {
  EXPECT_EQ(find_weight_slip("a (cat:1,2) on a mat")->text, ":1,2)");
  EXPECT_EQ(find_weight_slip("a (cat:1,2)")->hint, " (write 1.2 with a point)");
  EXPECT_EQ(find_weight_slip("((cat: 120% ))")->hint, " (write 1.2 for 120%)");
  EXPECT_EQ(find_weight_slip("(a:1.2) (b:1,3)")->text, ":1,3)");
}

TEST(WeightSlip, IsNotEverythingBehindAColon) {
  for (const char* prompt : {"", "(cat:1.2)", "(cat, dog: two)", "[a:b:1,2]", "at 10:30, (evening)",
                             "(a:1,2", "1,2)", "(ratio 1:2)"}) {
    EXPECT_FALSE(find_weight_slip(prompt).has_value()) << prompt;
  }
}

}  // namespace
}  // namespace fourstep
