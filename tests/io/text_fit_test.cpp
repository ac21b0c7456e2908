#include "io/text_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace fourstep {
namespace {

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

// 65,533 bytes of an APP1 segment (Exif 2.32, 4.5.4) less "Exif\0\0" are 65,527. A block with one ASCII comment of n
// characters has 8 + (2 + 12 + 4) + (2 + 12 + 4) + 8 + n bytes, rounded up to an even number (TIFF), so n = 65,474 fits and one more
// does not.
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
