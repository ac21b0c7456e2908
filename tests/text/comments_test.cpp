// Expected: the two substitutions of A1111's comments.py in Python, and ComfyUI's in node.
#include "text/comments.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(Comments, A1111DropsFromTheSignToTheLineEnd) {
  const auto a1111 = [](std::string_view text) { return without_comments(text, Dialect::kA1111); };
  EXPECT_EQ(a1111("a cat # not a dog"), "a cat \n");
  EXPECT_EQ(a1111("a cat, # fur\nred"), "a cat, \nred");
  EXPECT_EQ(a1111("# title\na cat\n# note\nred"), "\na cat\nred");
  EXPECT_EQ(a1111("a\n#b\n#c\nd"), "a\n\nd");
  EXPECT_EQ(a1111("#"), "\n");
  EXPECT_EQ(a1111("a\n#"), "a\n");
  EXPECT_EQ(a1111("no sign\n"), "no sign\n");
  EXPECT_EQ(a1111(""), "");
}

TEST(Comments, ComfyDropsThoseOfC) {
  const auto comfy = [](std::string_view text) { return without_comments(text, Dialect::kComfy); };
  EXPECT_EQ(comfy("a cat // not a dog\nred"), "a cat \nred");
  EXPECT_EQ(comfy("a /* big\n */cat"), "a cat");
  EXPECT_EQ(comfy("see https://x.y/z, red"), "see https:");
  EXPECT_EQ(comfy("a /* open // b"), "a /* open ");
  EXPECT_EQ(comfy("/*/ a */b#c"), "b#c");
  EXPECT_EQ(comfy("a//b\u2028c"), "a\u2028c");
}

TEST(Comments, OtherDialectsKnowNone) {
  for (const Dialect dialect : {Dialect::kFourstep, Dialect::kDiffusers}) {
    EXPECT_EQ(without_comments("a # b // c /* d */", dialect), "a # b // c /* d */");
  }
}

}  // namespace
}  // namespace fourstep
