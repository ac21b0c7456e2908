#include "text/unicode.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

std::string encode(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

TEST(Unicode, Utf8SurvivesTheRoundTrip) {
  const std::u32string text = U"a\u007F\u0080\u07FF\u0800\uFFFD\U00010000\U0010FFFF";
  EXPECT_EQ(decode_utf8(encode(text)), text);
}

TEST(Unicode, EachIllFormedPartBecomesOneReplacement) {
  EXPECT_EQ(decode_utf8("a\x80z"), U"a\uFFFDz");                            // lone continuation
  EXPECT_EQ(decode_utf8("a\xC3"), U"a\uFFFD");                              // cut at the end
  EXPECT_EQ(decode_utf8("\xE2\x82z"), U"\uFFFDz");                          // cut before z
  EXPECT_EQ(decode_utf8("\xC0\xAF"), U"\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(decode_utf8("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(decode_utf8("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  EXPECT_EQ(decode_utf8("\xFF\xFE"), U"\uFFFD\uFFFD");
}

TEST(Unicode, ClassesOfAsciiAndLatin1) {
  EXPECT_EQ(char_class(U'q'), CharClass::kLetter);
  EXPECT_EQ(char_class(U'\u00E9'), CharClass::kLetter);
  EXPECT_EQ(char_class(U'7'), CharClass::kNumber);
  EXPECT_EQ(char_class(U'\u00BD'), CharClass::kNumber);
  EXPECT_EQ(char_class(U'\t'), CharClass::kSpace);
  EXPECT_EQ(char_class(U'\u00A0'), CharClass::kSpace);
  EXPECT_EQ(char_class(U'\x1C'), CharClass::kOther);
  EXPECT_EQ(char_class(U'_'), CharClass::kOther);
}

TEST(Unicode, ClassesBeyondLatin1) {
  if (!has_full_unicode()) GTEST_SKIP() << "minimal build: the C library's classes are approximate";
  EXPECT_EQ(char_class(U'\u732B'), CharClass::kLetter);
  EXPECT_EQ(char_class(U'\u0663'), CharClass::kNumber);  // Arabic digit
  EXPECT_EQ(char_class(U'\u2167'), CharClass::kNumber);  // Roman numeral
  EXPECT_EQ(char_class(U'\u3000'), CharClass::kSpace);
  EXPECT_EQ(char_class(U'\u0301'), CharClass::kOther);  // combining mark
  EXPECT_TRUE(is_control(U'\u200D'));
}

TEST(Unicode, NfcComposes) {
  if (!has_full_unicode()) GTEST_SKIP() << "minimal build: no normalization";
  EXPECT_EQ(to_nfc(U"cafe\u0301"), U"caf\u00E9");
  EXPECT_EQ(to_nfc(U"\u1100\u1161"), U"\uAC00");
  EXPECT_EQ(to_nfc(U"\u212B"), U"\u00C5");
}

TEST(Unicode, LowerCaseOfOneCharacterIgnoresItsNeighbours) {
  EXPECT_EQ(lower_each(U"\u03A3\u039F\u03A3"), U"\u03C3\u03BF\u03C3");
  EXPECT_EQ(lower_each(U"\u0130"), U"i\u0307");
}

TEST(Unicode, LowerCaseInContextKnowsTheFinalSigma) {
  if (!has_full_unicode()) GTEST_SKIP() << "minimal build: no context rules";
  EXPECT_EQ(lower_in_context(U"\u03A3\u039F\u03A3"), U"\u03C3\u03BF\u03C2");
}

}  // namespace
}  // namespace fourstep
