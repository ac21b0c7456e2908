#include "io/exif.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

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

/// A block with the UserComment `comment` (more than 4 bytes), laid out by hand in either byte
/// order.
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

ImageText written_and_read(const ImageText& text) {
  return parse_exif(make_exif(text).value()).text;
}

TEST(Exif, WhatIsWrittenIsReadBack) {
  const ImageText text{{"parameters", "\xE7\x8C\xAB\xF0\x9F\xA6\x8A\nSteps: 4"},
                       {"prompt", "{\"3\": {}}"},
                       {"workflow", "{\"nodes\": []}"},
                       {"fourstep", "[1]"},
                       {"Software", "fourstep 0.2"},
                       {"Artist", "J\xC3\xBCrgen"},
                       {"Copyright", "CC BY 4.0"},
                       {"DateTime", "2026:01:31 10:00:00"},
                       {"ImageDescription", "a cat"},
                       {"Title", "AI \"made\": a cat\n"},
                       {"Comment", ""}};
  EXPECT_EQ(written_and_read(text), text);
  EXPECT_EQ(parse_exif("Exif\0\0"s + *make_exif(text)).text, text);
  for (const auto& [name, value] : text) {
    EXPECT_EQ(written_and_read({{name, value}}), (ImageText{{name, value}}));
  }
  EXPECT_EQ(make_exif({}), "");
  EXPECT_EQ(make_exif({{"parameters", ""}}), "");
}

/// The data of the entry with this tag in the first directory of a big-endian block.
std::string data_of(const std::string& block, uint16_t wanted) {
  const auto n = [&](size_t at, int size) {
    uint32_t value = 0;
    for (int i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(block[at + i]);
    return value;
  };
  for (size_t i = 0; i < n(8, 2); ++i) {
    const size_t at = 10 + 12 * i, size = n(at + 4, 4);
    if (n(at, 2) == wanted) return block.substr(size > 4 ? n(at + 8, 4) : at + 8, size);
  }
  return "none";
}

// Tags: Exif 2.32, tables 4 and 5.
TEST(Exif, KnownTextsGoToTheirOwnTags) {
  const std::string block = *make_exif({{"Software", "fourstep"},
                                        {"Artist", "me"},
                                        {"Copyright", "CC0"},
                                        {"ImageDescription", "a cat"},
                                        {"prompt", "{}"},
                                        {"a", "[]"},
                                        {"b", "[]"}});
  EXPECT_EQ(data_of(block, 0x0131), "fourstep\0"s);
  EXPECT_EQ(data_of(block, 0x013B), "me\0"s);
  EXPECT_EQ(data_of(block, 0x8298), "CC0\0"s);
  EXPECT_EQ(data_of(block, 0x010E), "a cat\0"s);
  EXPECT_EQ(data_of(block, 0x0110), "prompt:{}\0"s);
  EXPECT_EQ(data_of(block, 0x010F), "a:[]\0"s);
  EXPECT_EQ(data_of(block, 0x010D), "b:[]\0"s) << "0x010E is taken";
}

TEST(Exif, TheUserCommentIsWrittenAsUnicodeBigEndian) {
  const std::string block = *make_exif({{"parameters", "ab"}});
  EXPECT_TRUE(block.starts_with("MM\0*"s));
  EXPECT_TRUE(block.ends_with("UNICODE\0\0a\0b"s));
}

TEST(Exif, ALongAsciiCommentTakesHalfTheBytes) {
  const ImageText text{{"parameters", std::string(500, 'x')}};
  EXPECT_THAT(*make_exif(text, 600), ::testing::HasSubstr("ASCII\0\0\0xxx"s));
  EXPECT_EQ(parse_exif(*make_exif(text, 600)).text, text);
  EXPECT_EQ(make_exif(text, 500), std::nullopt);
  EXPECT_EQ(make_exif({{"parameters", std::string(500, 'x') + "\xC3\xA9"}}, 600), std::nullopt);
}

TEST(Exif, NulAndInvalidUtf8BecomeTheReplacementCharacter) {
  const ImageText read = written_and_read(
      {{"parameters", "a\0b\xFF"s}, {"Software", "c\0d"s}, {"x", "{\0"s}, {"y", "e\0"s}});
  const std::string sign = "\xEF\xBF\xBD";
  EXPECT_EQ(read, (ImageText{{"parameters", "a" + sign + "b" + sign},
                             {"Software", "c" + sign + "d"},
                             {"x", "{" + sign},
                             {"y", "e" + sign}}));
}

TEST(Exif, ACamerasOwnTextsAreNotTaken) {
  std::string block = *make_exif({{"prompt", "{\"4\": 1}"}});
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
  const std::string whole = *make_exif({{"parameters", "a cat"}, {"prompt", "{\"3\": {}}"}});
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
