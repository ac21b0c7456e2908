#include "text/known_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text_tools.h"
#include "text/unicode.h"

namespace fourstep {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(UnknownWords, AreThoseTheCaptionsNeverHad) {
  EXPECT_THAT(unknown_words("a red fox in the snow", "a red fox on"),
              ElementsAre("in", "the", "snow"));
  EXPECT_THAT(unknown_words("a red fox", "a red fox on"), IsEmpty());
  EXPECT_THAT(unknown_words("", "a"), IsEmpty());
}

TEST(UnknownWords, NeitherCaseNorPunctuationNorNumbersCount) {
  EXPECT_THAT(unknown_words("A Fox, (fox:1.2) [FOX]!", "a fox"), IsEmpty());
  EXPECT_THAT(unknown_words("t-rex's 12", "t-rex"), ElementsAre("t-rex's"));
  EXPECT_THAT(unknown_words("a piñata", "a Piñata"), IsEmpty()) << "bytes beyond ASCII are kept";
}

TEST(UnknownWords, EachIsNamedOnce) {
  EXPECT_THAT(unknown_words("snow, snow and Snow", "a"), ElementsAre("snow", "and"));
}

std::string utf8(std::u32string_view text) {
  std::string bytes;
  for (const char32_t c : text) append_utf8(bytes, c);
  return bytes;
}

TEST(FileWords, AsciiPromptsAreWordsJoinedByHyphens) {
  EXPECT_EQ(file_words("A red fox, in the snow!"), "A-red-fox-in-the-snow");
  EXPECT_EQ(file_words("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(file_words("a_b"), "a-b");
  EXPECT_EQ(file_words(std::string(5000, 'x')), std::string(40, 'x'));
  EXPECT_EQ(file_words(std::string(39, 'x') + " y"), std::string(39, 'x'));
  EXPECT_EQ(file_words("?!.,"), "");
  EXPECT_EQ(file_words(""), "");
}

TEST(FileWords, EachScriptKeepsItsCharacters) {
  EXPECT_EQ(file_words("赤いリンゴ、白い背景"), "赤いリンゴ-白い背景");
  EXPECT_EQ(file_words("красная лиса в снегу"), "красная-лиса-в-снегу");
  EXPECT_EQ(file_words("قطة، حمراء"), "قطة-حمراء");
  EXPECT_EQ(file_words("café crème №1"), "café-crème-1");
  EXPECT_EQ(file_words("고양이 (흰색)"), "고양이-흰색");
  if (!has_full_unicode()) GTEST_SKIP() << "minimal build: marks of a script are approximate";
  EXPECT_EQ(file_words("हिन्दी बिल्ली"), "हिन्दी-बिल्ली");
  EXPECT_EQ(file_words("แมวสีแดง"), "แมวสีแดง");
  EXPECT_EQ(file_words("cafe\u0301"), "caf\u00E9");
}

// The sequences of Unicode Technical Standard 51.
TEST(FileWords, EmojiStayWhole) {
  EXPECT_EQ(file_words("🦊 in the snow"), "🦊-in-the-snow");
  EXPECT_EQ(file_words("👩🏽‍🚀"), "👩🏽‍🚀");
  EXPECT_EQ(file_words("❤️‍🔥,👍🏿"), "❤️‍🔥-👍🏿");
  EXPECT_EQ(file_words("🇯🇵🇩🇪"), "🇯🇵🇩🇪");
  EXPECT_EQ(file_words("3️⃣ cats"), "3️⃣-cats");
  const std::string scotland =
      utf8(U"\U0001F3F4\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F");
  EXPECT_EQ(file_words(scotland), scotland);
}

TEST(FileWords, WhatShowsNothingIsDroppedOutsideOfEmoji) {
  EXPECT_EQ(file_words(utf8(U"cat\u202Egnp.exe")), "catgnp-exe");
  EXPECT_EQ(file_words(utf8(U"\u2066cat\u2069 \u200Fdog")), "cat-dog");
  EXPECT_EQ(file_words(utf8(U"c\u200Ba\u00ADt\uFEFF")), "cat");
  EXPECT_EQ(file_words(utf8(U"a\u200Db")), "ab");
  EXPECT_EQ(file_words(utf8(U"a\uFE0F b\U000E0041")), "a-b");
  EXPECT_EQ(file_words(utf8(U"🦊\u200D dog")), "🦊-dog");
  EXPECT_EQ(file_words(utf8(U"🦊\U000E0041\U000E007F")), "🦊");
}

TEST(FileWords, NothingThatFileSystemsOrShellsDislikeIsLeft) {
  EXPECT_EQ(file_words("-rf a<b>c:d\"e/f\\g|h?i*j. "), "rf-a-b-c-d-e-f-g-h-i-j");
  EXPECT_EQ(file_words(".hidden"), "hidden");
  EXPECT_EQ(file_words("a\nb\x01"
                       "c\x7F"
                       "d"),
            "a-b-c-d");
  EXPECT_EQ(file_words("caf\xE9 noir"), "caf-noir");  // Latin-1, no UTF-8
  EXPECT_EQ(file_words(utf8(U"猫／犬：鳥＊")), "猫-犬-鳥");
  EXPECT_EQ(file_words(utf8(U"\u0301cat")), "cat");
  EXPECT_EQ(file_words(utf8(U"a\uE000b")), "a-b");  // private use: shown as anything
}

TEST(FileWords, LongOnesAreCutBetweenCharacters) {
  const std::string family = "\U0001F468\u200D\U0001F469\u200D\U0001F467";  // 18 bytes
  std::string cats, families, five_families;
  for (int i = 0; i < 100; ++i) {
    cats += "猫";
    families += family;
    if (i < 5) five_families += family;
  }
  EXPECT_EQ(file_words(cats).size(), 33 * 3u);
  EXPECT_EQ(file_words(families), five_families);
  if (!has_full_unicode()) return;
  std::string stacked = "x";
  for (int i = 0; i < 30; ++i) stacked += "a\u0323\u0331\u0330";  // 7 bytes that stay together
  const std::string cut = file_words(stacked);
  EXPECT_LE(cut.size(), 100u);
  EXPECT_TRUE(cut.ends_with("\u0330")) << cut;
}

TEST(FileWords, AnyBytesGiveAValidName) {
  std::string bytes;
  uint32_t state = 1;
  for (int i = 0; i < 20000; ++i)
    bytes += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (size_t at = 0; at + 200 < bytes.size(); at += 50) {
    const std::string name = file_words(std::string_view(bytes).substr(at, 200));
    EXPECT_LE(name.size(), 100u);
    EXPECT_EQ(name.find_first_of("<>:\"/\\|?*.\n"), std::string::npos);
    EXPECT_EQ(decode_utf8(name).find(U'\uFFFD'), std::u32string::npos);
  }
}

}  // namespace

}  // namespace fourstep
