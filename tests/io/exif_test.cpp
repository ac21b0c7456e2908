#include "io/exif.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

using namespace std::string_literals;

std::string number(uint32_t value, int size, bool big_endian) {
  std::string out;
  for (int i = 0; i < size; ++i) {
    const int shift = 8 * (big_endian ? size - 1 - i : i);
    out.push_back(static_cast<char>(value >> shift & 0xFF));
  }
  return out;
}

/// A block with the UserComment `comment` (more than 4 bytes), laid out by hand in either byte order.
std::string block_with_comment(const std::string& comment, bool big_endian) {
  const auto n = [&](uint32_t value, int size) { return number(value, size, big_endian); };
  std::string block = (big_endian ? "MM" : "II") + n(42, 2) + n(8, 4);
  block += n(1, 2) + n(0x8769, 2) + n(4, 2) + n(1, 4) + n(26, 4) + n(0, 4);
  block += n(1, 2) + n(0x9286, 2) + n(7, 2) + n(static_cast<uint32_t>(comment.size()), 4) +
           n(44, 4) + n(0, 4);
  return block + comment;
}

std::string comment_in(const std::string& comment, bool big_endian = true) {
  const ImageText text = parse_exif(block_with_comment(comment, big_endian)).text;
  return text.count("parameters") ? text.at("parameters") : "none";
}

std::string swapped(std::string utf16) {
  for (size_t i = 0; i + 1 < utf16.size(); i += 2) std::swap(utf16[i], utf16[i + 1]);
  return utf16;
}

const std::string kUnicode = "UNICODE\0"s;

TEST(Exif, UserCommentInUtf16IsReadInEitherByteOrderWhateverTheBlockHas) {
  const std::string text = "caf\xC3\xA9, \xE7\x8C\xAB\nSteps: 4";
  const std::string big = utf16be_from_utf8(text);
  for (const bool block_order : {true, false}) {
    EXPECT_EQ(comment_in(kUnicode + big, block_order), text);
    EXPECT_EQ(comment_in(kUnicode + swapped(big), block_order), text);
    EXPECT_EQ(comment_in(kUnicode + "\xFE\xFF" + big, block_order), text);
    EXPECT_EQ(comment_in(kUnicode + "\xFF\xFE" + swapped(big), block_order), text);
  }
}

TEST(Exif, WithoutAnyAsciiTheBlocksOwnByteOrderCounts) {
  const std::string text = "\xE7\x8C\xAB\xE7\x8A\xAC", big = utf16be_from_utf8(text);
  EXPECT_EQ(comment_in(kUnicode + big, true), text);
  EXPECT_EQ(comment_in(kUnicode + swapped(big), false), text);
}

TEST(Exif, UserCommentMayBeAsciiUndefinedOrWithoutACode) {
  EXPECT_EQ(comment_in("ASCII\0\0\0a cat"s), "a cat");
  EXPECT_EQ(comment_in("ASCII\0\0\0caf\xC3\xA9"s), "caf\xC3\xA9");
  EXPECT_EQ(comment_in("ASCII\0\0\0caf\xE9"s), "caf\xC3\xA9");
  EXPECT_EQ(comment_in("\0\0\0\0\0\0\0\0a cat\0\0"s), "a cat");
  EXPECT_EQ(comment_in("a cat without a code"), "a cat without a code");
  EXPECT_EQ(comment_in("JIS\0\0\0\0\0\x21\x21"s), "none");
  EXPECT_EQ(comment_in(kUnicode), "none");
}

TEST(Exif, WhatIsWrittenIsReadBack) {
  const ImageText text{{"parameters", "\xE7\x8C\xAB\nSteps: 4"},
                       {"prompt", "{\"3\": {}}"},
                       {"workflow", "{\"nodes\": []}"},
                       {"fourstep", "[1]"}};
  EXPECT_EQ(parse_exif(make_exif(text)).text, text);
  EXPECT_EQ(parse_exif("Exif\0\0"s + make_exif(text)).text, text);
  for (const auto& [name, value] : text) {
    EXPECT_EQ(parse_exif(make_exif({{name, value}})).text, (ImageText{{name, value}}));
  }
  EXPECT_EQ(make_exif({}), "");
}

TEST(Exif, TheUserCommentIsWrittenAsUnicodeBigEndian) {
  const std::string block = make_exif({{"parameters", "ab"}});
  EXPECT_TRUE(block.starts_with("MM\0*"s));
  EXPECT_TRUE(block.ends_with("UNICODE\0\0a\0b"s));
}

TEST(Exif, TextsThatCouldNotBeToldFromACamerasAreRefused) {
  EXPECT_THROW(make_exif({{"Software", "fourstep"}}), Error);
  EXPECT_THROW(make_exif({{"a:b", "{}"}}), Error);
  ImageText many;
  for (int i = 0; i < 40; ++i) many["text" + std::to_string(i)] = "{}";
  EXPECT_THROW(make_exif(many), Error);
}

TEST(Exif, ACamerasOwnTextsAreNotTaken) {
  std::string block = make_exif({{"prompt", "{\"4\": 1}"}});
  const size_t at = block.find("prompt:{");
  block.replace(at, 8, "Canon: x");
  EXPECT_TRUE(parse_exif(block).text.empty());
}

TEST(Exif, OrientationsOutsideOneToEightAreIgnored) {
  for (const bool big : {true, false}) {
    const auto n = [&](uint32_t value, int size) { return number(value, size, big); };
    const auto block = [&](uint32_t value) {
      return (big ? "MM" : "II") + n(42, 2) + n(8, 4) + n(1, 2) + n(0x0112, 2) + n(3, 2) + n(1, 4) +
             n(value, 2) + n(0, 2) + n(0, 4);
    };
    EXPECT_EQ(parse_exif(block(6)).orientation, 6);
    EXPECT_EQ(parse_exif(block(9)).orientation, 1);
    EXPECT_EQ(parse_exif(block(0)).orientation, 1);
  }
}

TEST(Exif, BrokenBlocksGiveWhatTheyHoldAndNeverFail) {
  const std::string whole = make_exif({{"parameters", "a cat"}, {"prompt", "{\"3\": {}}"}});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(parse_exif(whole.substr(0, size)).text.count("parameters"), 0u);
  }
  std::mt19937 generator(5);
  for (int round = 0; round < 20000; ++round) {
    std::string broken = whole;
    for (int i = 0; i < 1 + round % 5; ++i)
      broken[generator() % broken.size()] = static_cast<char>(generator());
    EXPECT_NO_THROW(parse_exif(broken));
  }
}

}  // namespace
}  // namespace fourstep
