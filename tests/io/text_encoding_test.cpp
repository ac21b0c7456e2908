#include "io/text_encoding.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

using namespace std::string_literals;

TEST(TextEncoding, Utf8IsCheckedAsTheStandardSays) {
  EXPECT_TRUE(is_utf8("a\xC3\xA9\xE7\x8C\xAB\xF0\x9F\x90\x88"));
  for (const char* broken : {"\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                             "\xF5\x80\x80\x80", "\x80", "\xE7\x8C", "\xE7(\xAB"}) {
    EXPECT_FALSE(is_utf8(broken)) << broken;
  }
  EXPECT_EQ(valid_utf8("a\xFF"
                       "b\xE7\x8C"),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(TextEncoding, Latin1GoesBothWaysAndRefusesOtherCharacters) {
  EXPECT_EQ(utf8_from_latin1("caf\xE9"), "caf\xC3\xA9");
  EXPECT_EQ(latin1_from_utf8("caf\xC3\xA9"), "caf\xE9");
  EXPECT_FALSE(latin1_from_utf8("\xE7\x8C\xAB"));
  EXPECT_FALSE(latin1_from_utf8("caf\xE9"));
}

TEST(TextEncoding, Utf16KnowsBothOrdersAndSurrogatePairs) {
  const std::string text = "a\xE7\x8C\xAB\xF0\x9F\x90\x88";  // U+0061 U+732B U+1F408
  EXPECT_EQ(utf16be_from_utf8(text), "\0a\x73\x2B\xD8\x3D\xDC\x08"s);
  EXPECT_EQ(utf8_from_utf16("\0a\x73\x2B\xD8\x3D\xDC\x08"s, true), text);
  EXPECT_EQ(utf8_from_utf16("a\0\x2B\x73\x3D\xD8\x08\xDC"s, false), text);
}

TEST(TextEncoding, LoneSurrogatesAndOddBytesAreReplacedOrDropped) {
  EXPECT_EQ(utf8_from_utf16("\xD8\x3D\0a"s, true),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(utf8_from_utf16("\xDC\x08"s, true), "\xEF\xBF\xBD");
  EXPECT_EQ(utf8_from_utf16("\xD8\x3D"s, true), "\xEF\xBF\xBD");
  EXPECT_EQ(utf8_from_utf16("\0a\0"s, true), "a");
}

}  // namespace
}  // namespace fourstep
