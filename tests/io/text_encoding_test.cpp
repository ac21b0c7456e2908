#include "io/text_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

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

TEST(Printable, PlainNamesAreOnlyQuoted) {
  EXPECT_EQ(printable("unet.conv_in.weight"), "\"unet.conv_in.weight\"");
}

TEST(Printable, ControlCharactersAndForeignBytesAreEscaped) {
  EXPECT_EQ(printable("a\"b\\c\n\x1b\xff"), "\"a\\\"b\\\\c\\n\\x1b\\xff\"");
}

TEST(Printable, LongTextIsCutAndItsLengthNamed) {
  EXPECT_EQ(printable("abcdef", 3), "\"abc\"... (6 bytes)");
}

using namespace std::string_literals;
using ::testing::ElementsAre;

std::vector<std::string> left_out(const ImageText& text, ImageFormat format) {
  std::vector<std::string> names;
  for (const LeftOutText& item : fit_text(text, format).left_out) names.push_back(item.name);
  return names;
}

/// As generate writes it: the JSON is a little longer than the settings, both hold the prompt.
ImageText texts_of(const std::string& prompt) {
  return {{"parameters", prompt + "\nSteps: 4"},
          {"fourstep", "{\"prompt\":\"" + prompt + "\",\"steps\":4}"}};
}

// 65,533 bytes of an APP1 segment (Exif 2.32, 4.5.4) less "Exif\0\0" are 65,527. A block with one
// ASCII comment of n characters has 8 + (2 + 12 + 4) + (2 + 12 + 4) + 8 + n bytes, rounded up to an
// even number (TIFF), so n = 65,474 fits and one more does not.
TEST(FitText, AJpegHoldsUpToTheLastByteOfItsSegment) {
  EXPECT_TRUE(left_out({{"parameters", std::string(65474, 'x')}}, ImageFormat::kJpeg).empty());
  EXPECT_THAT(left_out({{"parameters", std::string(65475, 'x')}}, ImageFormat::kJpeg),
              ElementsAre("parameters"));
}

TEST(FitText, TheLongestIsLeftOutFirst) {
  EXPECT_TRUE(left_out(texts_of(std::string(20000, 'x')), ImageFormat::kJpeg).empty());
  EXPECT_TRUE(left_out(texts_of(std::string(32000, 'x')), ImageFormat::kJpeg).empty())
      << "as ASCII";
  const FittedText fitted = fit_text(texts_of(std::string(40000, 'x')), ImageFormat::kJpeg);
  ASSERT_EQ(fitted.left_out.size(), 1u);
  EXPECT_EQ(fitted.left_out[0].name, "fourstep");
  EXPECT_EQ(fitted.left_out[0].reason, "JPEG holds 64 KiB of text");
  EXPECT_EQ(fitted.text.at("parameters").size(), 40000 + 9u) << "whole, never cut";
}

TEST(FitText, OneCharacterBeyondAsciiCostsUtf16) {
  const std::string prompt = "\xE7\x8C\xAB" + std::string(25000, 'x');
  EXPECT_THAT(left_out(texts_of(prompt), ImageFormat::kJpeg), ElementsAre("fourstep"));
  const std::string longer = prompt + std::string(8000, 'x');  // 66 KB as UTF-16
  EXPECT_THAT(left_out(texts_of(longer), ImageFormat::kJpeg), ElementsAre("parameters"));
}

TEST(FitText, WebpAndPngHoldThemAll) {
  const ImageText text = texts_of(std::string(1000000, 'x'));
  EXPECT_EQ(fit_text(text, ImageFormat::kWebp).text, text);
  EXPECT_EQ(fit_text(text, ImageFormat::kPng).text, text);
}

TEST(FitText, NamesThatAFormatHasNoPlaceForAreLeftOut) {
  const ImageText text{{"", "x"},
                       {std::string(80, 'x'), "x"},
                       {"\xE7\x8C\xAB", "x"},
                       {"a\nb", "x"},
                       {" a", "x"},
                       {"a:b", "x"},
                       {"Title", "x"}};
  EXPECT_EQ(fit_text(text, ImageFormat::kPng).text, (ImageText{{"Title", "x"}, {"a:b", "x"}}));
  EXPECT_THAT(left_out({{"a:b", "{}"}, {"", "{}"}, {"Title", "x"}}, ImageFormat::kWebp),
              ElementsAre("", "a:b"));
  ImageText many;
  for (int i = 10; i < 40; ++i) many["text" + std::to_string(i)] = "{}";
  EXPECT_EQ(fit_text(many, ImageFormat::kJpeg).text.size(), 16u) << "tags 0x0100 to 0x010F";
  EXPECT_THAT(left_out({{"parameters", "a"}}, ImageFormat::kPpm), ElementsAre("parameters"));
}

TEST(FitText, WritingNeverFailsForATextAndKeepsWhatFits) {
  const Tensor pixels = torch::zeros({2, 3, 3}, torch::kUInt8);
  ImageText text = texts_of(std::string(60000, 'x'));
  text.insert(
      {{"Software", "fourstep"}, {"a:b", "x"}, {"\xFF", "\xFF"}, {"nul", "a\0b"s}, {"empty", ""}});
#ifdef FOURSTEP_MINIMAL
  const auto formats = {ImageFormat::kPpm};
#else
  const auto formats = {ImageFormat::kPpm, ImageFormat::kPng, ImageFormat::kJpeg,
                        ImageFormat::kWebp};
#endif
  for (const ImageFormat format : formats) {
    const ImageText read = decode_image(encode_image({pixels, {}, text}, format)).text;
    EXPECT_EQ(read.size(), format == ImageFormat::kPpm ? 0 : fit_text(text, format).text.size());
    if (format != ImageFormat::kPpm) {
      EXPECT_EQ(read.at("Software"), "fourstep");
    }
  }
}

}  // namespace

}  // namespace fourstep
