#include "base/utf8.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

std::string encode(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

TEST(Utf8, SurvivesTheRoundTrip) {
  const std::u32string text = U"a\u007F\u0080\u07FF\u0800\uFFFD\U00010000\U0010FFFF";
  EXPECT_EQ(decode_utf8(encode(text)), text);
}

TEST(Utf8, EachIllFormedPartBecomesOneReplacement) {
  EXPECT_EQ(decode_utf8("a\x80z"), U"a\uFFFDz");                            // lone continuation
  EXPECT_EQ(decode_utf8("a\xC3"), U"a\uFFFD");                              // cut at the end
  EXPECT_EQ(decode_utf8("\xE2\x82z"), U"\uFFFDz");                          // cut before z
  EXPECT_EQ(decode_utf8("\xC0\xAF"), U"\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(decode_utf8("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(decode_utf8("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  EXPECT_EQ(decode_utf8("\xFF\xFE"), U"\uFFFD\uFFFD");
}

}  // namespace
}  // namespace fourstep
