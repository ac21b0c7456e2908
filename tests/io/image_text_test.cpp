#include "io/image_text.h"

#ifndef FOURSTEP_MINIMAL
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/error.h"
#include "io/image.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using namespace std::string_literals;

std::string big_endian(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift & 0xFF));
  return out;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const auto checksum =
      ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<uint32_t>(data.size())) + body +
         big_endian(static_cast<uint32_t>(checksum));
}

std::string deflated(const std::string& text) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()),
           text.size());
  return out.substr(0, size);
}

/// A PNG file of one pixel, with `before` in front of the pixels and `after` behind them.
std::string png_with(const std::string& before, const std::string& after = "") {
  const std::string header = big_endian(1) + big_endian(1) + "\x08\x02\0\0\0"s;
  return "\x89PNG\r\n\x1A\n"s + chunk("IHDR", header) + before + chunk("IDAT", deflated("\0abc"s)) +
         after + chunk("IEND", "");
}

ImageText text_in(const std::string& bytes) { return parse_image_metadata(bytes).text; }

TEST(GoldenImageMetadata, EveryFileTellsItsTexts) {
  const auto golden = testing::load_golden("image_metadata.json");
  if (!golden) GTEST_SKIP() << "no image_metadata.json";
  const testing::TemporaryFolder folder;
  size_t checked = 0, skipped = 0;
  for (const auto& item : (*golden)["cases"]) {
    const std::string container = item["container"];
    if (container != "png" && container != "jpeg" && container != "webp") {
      ++skipped;
      continue;
    }
    SCOPED_TRACE(item["id"].get<std::string>());
    const auto path =
        testing::write_file(folder.path() / "image", testing::decode_base64(item["file_b64"]));
    const auto expected = item["text_chunks"].get<ImageText>();
    EXPECT_EQ(read_image(path).text, expected);
    EXPECT_EQ(read_image_text(path), expected);
    ++checked;
  }
  testing::report_golden("image_metadata.json", checked, skipped);
}

TEST(GoldenImageMetadata, TheirTextsSurviveWritingInEachFormat) {
  const auto golden = testing::load_golden("image_metadata.json");
  if (!golden) GTEST_SKIP() << "no image_metadata.json";
  const testing::TemporaryFolder folder;
  for (const auto& item : (*golden)["cases"]) {
    const auto text = item["text_chunks"].get<ImageText>();
    for (const char* name : {"a.png", "a.jpg", "a.webp"}) {
      const auto path = folder.path() / name;
      write_image(path, {torch::zeros({2, 3, 3}, torch::kUInt8), {}, text});
      EXPECT_EQ(read_image(path).text, text) << item["id"] << " as " << name;
    }
  }
  testing::report_golden("image_metadata.json (written)", (*golden)["cases"].size(), 0);
}

TEST(ImageText, ChunksAreFoundBeforeAndBehindThePixels) {
  const std::string bytes =
      png_with(chunk("tEXt", "one\0caf\xE9"s),
               chunk("zTXt", "two\0\0"s + deflated("b")) +
                   chunk("iTXt", "three\0\0\0en\0drei\0caf\xC3\xA9"s) +
                   chunk("iTXt", "four\0\1\0\0\0"s + deflated("\xE7\x8C\xAB")));
  EXPECT_EQ(text_in(bytes), (ImageText{{"one", "caf\xC3\xA9"},
                                       {"two", "b"},
                                       {"three", "caf\xC3\xA9"},
                                       {"four", "\xE7\x8C\xAB"}}));
}

TEST(ImageText, ExifInsideAPngIsReadAndATextChunkWins) {
  const std::string exif = chunk("eXIf", *make_exif({{"parameters", "from exif"}}));
  EXPECT_EQ(text_in(png_with(exif)).at("parameters"), "from exif");
  const std::string both = exif + chunk("tEXt", "parameters\0from text"s);
  EXPECT_EQ(text_in(png_with(both)).at("parameters"), "from text");
}

TEST(ImageText, BrokenChunksArePassedOver) {
  std::string damaged = chunk("tEXt", "parameters\0a cat"s);
  damaged[12] ^= 1;
  const std::string good = chunk("tEXt", "other\0x"s);
  for (const std::string& broken :
       {damaged, chunk("tEXt", "no end"), chunk("zTXt", "a\0"s),
        chunk("zTXt", "a\0\1"s + deflated("b")), chunk("zTXt", "a\0\0garbage"s),
        chunk("iTXt", "a\0"s), chunk("iTXt", "a\0\0\0en"s),
        chunk("zTXt", "a\0\0"s + deflated("cut off").substr(0, 6)), chunk("eXIf", "MM")}) {
    EXPECT_EQ(text_in(png_with(broken + good)), (ImageText{{"other", "x"}}));
  }
}

TEST(ImageText, InvalidUtf8IsReplaced) {
  EXPECT_EQ(text_in(png_with(chunk("iTXt", "a\0\0\0\0\0x\xFF"s))).at("a"), "x\xEF\xBF\xBD");
}

TEST(ImageText, TextsThatInflateWithoutEndAreLeftOut) {
  const std::string bomb = deflated(std::string(size_t{17} << 20, 'a'));
  ASSERT_LT(bomb.size(), size_t{100} << 10);
  const std::string large = deflated(std::string(size_t{15} << 20, 'a'));
  EXPECT_TRUE(text_in(png_with(chunk("zTXt", "a\0\0"s + bomb))).empty());
  EXPECT_TRUE(text_in(png_with(chunk("iTXt", "a\0\1\0\0\0"s + bomb))).empty());
  EXPECT_EQ(text_in(png_with(chunk("zTXt", "a\0\0"s + large))).at("a").size(), size_t{15} << 20);
}

TEST(ImageText, OtherFilesHaveNone) {
  EXPECT_TRUE(text_in("").empty());
  EXPECT_TRUE(text_in("GIF89a").empty());
  EXPECT_TRUE(text_in("\xFF\xD8").empty());
  EXPECT_TRUE(text_in("RIFF\4\0\0\0WEBP"s).empty());
}

class WrittenPng : public ::testing::Test {
 protected:
  void write(const ImageText& text) const {
    write_image(path(), {torch::zeros({2, 3, 3}, torch::kUInt8), {}, text});
  }
  std::string bytes() const { return testing::read_file(path()); }
  std::filesystem::path path() const { return folder_.path() / "a.png"; }

  testing::TemporaryFolder folder_;
};

TEST_F(WrittenPng, TextIsLatin1WhereThatSufficesElseUtf8) {
  write({{"parameters", "caf\xC3\xA9\nSteps: 4"}});
  EXPECT_THAT(bytes(), ::testing::HasSubstr("tEXtparameters\0caf\xE9\nSteps"s));
  write({{"parameters", "\xE7\x8C\xAB\nSteps: 4"}});
  EXPECT_THAT(bytes(), ::testing::HasSubstr("iTXtparameters\0\0\0\0\0\xE7\x8C\xAB\nSteps"s));
}

TEST_F(WrittenPng, LongTextsAndEmptyOnesAreKept) {
  const ImageText text{{"parameters", std::string(300000, 'x') + "\xE7\x8C\xAB"}, {"empty", ""}};
  write(text);
  EXPECT_EQ(read_image(path()).text, text);
}

TEST_F(WrittenPng, NamesThatPngCannotHoldAreLeftOutAndNulIsReplaced) {
  write({{"\xE7\x8C\xAB", "x"}, {"a", "x\0y"s}});
  EXPECT_EQ(read_image(path()).text, (ImageText{{"a", "x\xEF\xBF\xBDy"}}));
}

}  // namespace
}  // namespace fourstep
#endif
