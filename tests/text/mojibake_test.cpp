// Expected: fix_encoding() of ftfy 6.3.1.
#include "text/mojibake.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(Mojibake, Utf8ReadAsACodePageIsReadAgain) {
  EXPECT_EQ(mend_encoding(U"sch\u00C3\u00B6n"), U"sch\u00F6n");
  EXPECT_EQ(mend_encoding(U"it\u00E2\u20AC\u2122s"), U"it\u2019s") << "Windows-1252";
  EXPECT_EQ(
      mend_encoding(U"\u0420\u045F\u0421\u0402\u0420\u0451\u0420\u0406\u0420\u00B5\u0421\u201A"),
      U"\u041F\u0440\u0438\u0432\u0435\u0442")
      << "Windows-1251";
  EXPECT_EQ(mend_encoding(U"\u221A\u00B1o"), U"\u00F1o") << "MacRoman";
}

TEST(Mojibake, SeveralTurnsAreUndone) {
  EXPECT_EQ(mend_encoding(U"\u00C3\u0192\u00C2\u00A9"), U"\u00E9");
}

TEST(Mojibake, LostBlanksAndLostBytesAreFilledIn) {
  EXPECT_EQ(mend_encoding(U"voil\u00C3 le travail"), U"voil\u00E0 le travail");
  EXPECT_EQ(mend_encoding(U"\u00E2\u20AC\u0153 like this \u00E2\u20AC\uFFFD"),
            U"\u201C like this \uFFFD");
}

TEST(Mojibake, OneWrongRunInAGoodTextIsMended) {
  EXPECT_EQ(mend_encoding(U"\u732B \u00C3\u00A9t\u00C3\u00A9"), U"\u732B \u00E9t\u00E9");
}

TEST(Mojibake, PlainAndForeignTextStays) {
  for (const char32_t* text :
       {U"a cat", U"caf\u00E9 \u2014 na\u00EFve", U"\u00C5ngstr\u00F6m 20\u00B0",
        U"\u041F\u0440\u0438\u0432\u0435\u0442", U"\u732B\u8033"}) {
    EXPECT_EQ(mend_encoding(text), text);
    EXPECT_FALSE(looks_misdecoded(text));
  }
}

TEST(Mojibake, RunsEndWhereTheSequencesEnd) {
  EXPECT_EQ(misdecoded_run(U"\u00C3\u00A9\u00C3\u00A8t", 0), 4u);
  EXPECT_EQ(misdecoded_run(U"\u00C3\u00A9\u00C3", 0), 2u);
  EXPECT_EQ(misdecoded_run(U"\u00A9\u00C3\u00A9", 1), 0u) << "behind such a character";
  EXPECT_EQ(misdecoded_run(U"t", 0), 0u);
}

}  // namespace
}  // namespace fourstep
