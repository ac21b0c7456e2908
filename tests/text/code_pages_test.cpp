#include "text/code_pages.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(CodePages, LettersHaveTheBytesOfTheirPage) {
  EXPECT_EQ(bytes_in_page(U"\u00E9\u20AC", CodePage::kWindows1252), "\xE9\x80");
  EXPECT_EQ(bytes_in_page(U"\u0416", CodePage::kWindows1251), "\xC6");
  EXPECT_EQ(bytes_in_page(U"\u03A9", CodePage::kDos437), "\xEA");
  EXPECT_EQ(bytes_in_page(U"\u20AC", CodePage::kLatin1), std::nullopt);
}

TEST(CodePages, OpenBytesAreControlsAndLostOnesTheReplacementCharacter) {
  EXPECT_EQ(windows_1252_char(0x81), U'\u0081');
  EXPECT_EQ(windows_1252_char(0x99), U'\u2122');
  EXPECT_EQ(bytes_in_page(U"\uFFFD", CodePage::kWindows1252), "\x1A");
  EXPECT_EQ(bytes_in_page(U"\x1A", CodePage::kWindows1252), std::nullopt);
  EXPECT_EQ(bytes_in_page(U"\uFFFD", CodePage::kMacRoman), std::nullopt);
}

}  // namespace
}  // namespace fourstep
