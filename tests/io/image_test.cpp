#include "io/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

#ifdef FOURSTEP_MINIMAL
const std::vector<std::string> kExtensions = {".ppm"};
#else
const std::vector<std::string> kExtensions = {".png", ".jpg", ".webp", ".ppm"};
#endif

class ImageFile : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }

  std::filesystem::path file_with(const std::string& name, std::string_view bytes) const {
    return testing::write_file(file(name), bytes);
  }

  testing::TemporaryFolder folder_;
};

/// uint8 [H,W,C] of noise.
Tensor noise(int64_t height, int64_t width, int64_t channels) {
  std::mt19937 generator(1);
  Tensor out = torch::empty({height, width, channels}, torch::kUInt8);
  auto* data = out.data_ptr<uint8_t>();
  std::generate(data, data + out.numel(), [&] { return static_cast<uint8_t>(generator()); });
  return out;
}

/// uint8 [H,W,3], slow waves.
Tensor waves(int64_t height, int64_t width) {
  const Tensor y = torch::arange(height).reshape({height, 1, 1}),
               x = torch::arange(width).reshape({1, width, 1});
  const Tensor c = torch::arange(3).reshape({1, 1, 3});
  return (128 + 100 * (0.06 * x + 0.03 * y * (c + 1) + c).sin()).round().to(torch::kUInt8);
}

template <typename Work>
std::string error_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(ImageFile, PpmKeepsEveryPixel) {
  const Tensor pixels = noise(5, 7, 3);
  write_image(file("a.ppm"), {pixels, {}, {}});
  EXPECT_TRUE(read_image(file("a.ppm")).pixels.equal(pixels));
}

TEST_F(ImageFile, PpmHeaderMayHaveCommentsAndOtherMaxima) {
  const auto path =
      file_with("a.ppm", "P6 # made by hand\n1\n# two rows\n2 15\n\x01\x05\x0F\x0F\x0A\x02");
  const Tensor expected = torch::tensor({17, 85, 255, 255, 170, 34}, torch::kUInt8);
  EXPECT_TRUE(read_image(path).pixels.flatten().equal(expected));
}

TEST_F(ImageFile, PpmOf16BitIsScaledDown) {
  const auto path = file_with("a.ppm", std::string("P6 1 1 65535\n\xFF\xFF\x00\x00\x80\x80", 19));
  EXPECT_TRUE(read_image(path).pixels.flatten().equal(torch::tensor({255, 0, 128}, torch::kUInt8)));
}

TEST_F(ImageFile, HostilePpmHeadersAreErrors) {
  for (const char* bytes : {"P6", "P6 1", "P6 1 1 255", "P6 99999 1 255 ", "P6 -1 1 255 abc",
                            "P6 0 1 255 ", "P6 1 1 0 abc", "P6 1 1 99999 abc",
                            "P6 16384 16384 255 abc", "P6 #", "P6 9999999999999999999999 1 255 "}) {
    const std::string message = error_of([&] { read_image(file_with("a.ppm", bytes)); });
    EXPECT_THAT(message, AllOf(HasSubstr("read_image("), HasSubstr("a.ppm"))) << bytes;
  }
}

TEST_F(ImageFile, NameSaysTheFormatInAnyCaseAndContentIsReadWhateverTheName) {
  EXPECT_EQ(image_format_of("x/y.PNG"), ImageFormat::kPng);
  EXPECT_EQ(image_format_of("y.Jpeg"), ImageFormat::kJpeg);
  EXPECT_EQ(image_format_of("y.jpg"), ImageFormat::kJpeg);
  EXPECT_EQ(image_format_of("y.webp"), ImageFormat::kWebp);
  EXPECT_THROW(image_format_of("y.bmp"), InvalidRequest);
  EXPECT_THROW(image_format_of("png"), InvalidRequest);
  write_image(file("a.ppm"), {noise(2, 2, 3), {}, {}});
  std::filesystem::rename(file("a.ppm"), file("a.png"));
  EXPECT_NO_THROW(read_image(file("a.png")));
}

TEST_F(ImageFile, FilesThatAreNoImagesAreErrorsThatNameThem) {
  EXPECT_THAT(error_of([&] { read_image(file("none.png")); }), HasSubstr("none.png"));
  EXPECT_THAT(error_of([&] { read_image(folder_.path()); }), HasSubstr("read_image("));
  EXPECT_THAT(error_of([&] { read_image(file_with("empty.png", "")); }), HasSubstr("empty"));
  EXPECT_THAT(error_of([&] { read_image(file_with("a.gif", "GIF89a....")); }), HasSubstr("GIF"));
  EXPECT_THAT(error_of([&] { read_image(file_with("a.avif", "....ftypavif....")); }),
              HasSubstr("AVIF"));
  EXPECT_THAT(error_of([&] { read_image(file_with("a.png", "hello")); }),
              HasSubstr("no known image"));
}

TEST_F(ImageFile, WhatCannotBeWrittenLeavesNothingBehind) {
  const Image image{noise(2, 2, 3), {}, {}};
  for (const std::string& extension : kExtensions) {
    const auto path = file("missing") / ("a" + extension);
    EXPECT_THAT(error_of([&] { write_image(path, image); }), HasSubstr("missing"));
    EXPECT_THROW(write_image(file("a" + extension), {noise(2, 2, 4), {}, {}}), Error);
    EXPECT_THROW(write_image(file("a" + extension), {torch::zeros({2, 2, 3}), {}, {}}), Error);
    EXPECT_THROW(
        write_image(file("a" + extension), {torch::empty({0, 2, 3}, torch::kUInt8), {}, {}}),
        Error);
    EXPECT_THROW(write_image(file("a" + extension), {Tensor(), {}, {}}), Error);
  }
  EXPECT_THROW(write_image(file("a.bmp"), image), InvalidRequest);
  ImageOptions options;
  options.quality = 101;
  EXPECT_THROW(write_image(file("a.ppm"), image, options), InvalidRequest);
  EXPECT_THROW(write_image(file("a.ppm"), {noise(2, 2, 3), noise(2, 2, 1).squeeze(2), {}}), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

/// A small picture with text in each format of this build.
std::vector<std::string> small_files() {
  const Image image{waves(6, 9), {}, {{"parameters", "a cat\nSteps: 4, Seed: 1, Size: 9x6"}}};
  std::vector<std::string> files;
  for (const std::string& extension : kExtensions) {
    files.push_back(encode_image(image, image_format_of("a" + extension)));
  }
  return files;
}

TEST(BrokenImage, EveryTruncationIsAnErrorOrAnImage) {
  for (const std::string& whole : small_files()) {
    for (size_t size = 0; size < whole.size(); ++size) {
      const std::string message = error_of([&] {
        const Image image = decode_image(std::string_view(whole).substr(0, size));
        EXPECT_EQ(shape_of(image.pixels), (Shape{6, 9, 3}));
      });
      if (size < whole.size() / 2) {
        EXPECT_NE(message, "no error") << whole.substr(0, 4) << " cut to " << size;
      }
    }
  }
}

TEST(BrokenImage, FlippedBytesAreAnErrorOrAnImage) {
  std::mt19937 generator(3);
  for (const std::string& whole : small_files()) {
    size_t num_errors = 0;
    for (int round = 0; round < 2000; ++round) {
      std::string broken = whole;
      for (int i = 0; i < 1 + round % 4; ++i) {
        broken[generator() % broken.size()] = static_cast<char>(generator());
      }
      num_errors += error_of([&] { decode_image(broken); }) != "no error";
    }
    EXPECT_GT(num_errors, 0u) << whole.substr(0, 4);
  }
}

TEST(ImageConversion, InfiniteValuesAreClampedAndNanIsAnError) {
  Tensor image = torch::zeros({1, 3, 1, 1});
  image[0][0] = std::numeric_limits<float>::infinity();
  image[0][1] = -std::numeric_limits<float>::infinity();
  const Tensor expected = torch::tensor({255, 0, 128}, torch::kUInt8);
  EXPECT_TRUE(pixels_from_image(image).flatten().equal(expected));
  image[0][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of([&] { pixels_from_image(image); }), HasSubstr("the image has NaN"));
}

TEST(ImageConversion, AllBytesSurviveTheWayThroughTheNetworksRange) {
  const Tensor pixels =
      torch::arange(256, torch::kUInt8).reshape({1, 16, 16, 1}).expand({2, 16, 16, 3});
  const Tensor image = image_from_pixels(pixels);
  EXPECT_EQ(shape_of(image), (Shape{2, 3, 16, 16}));
  EXPECT_TRUE(pixels_from_image(image).equal(pixels));
  EXPECT_TRUE(pixels_from_image(image.to(torch::kFloat64)).equal(pixels));
}

TEST(ImageConversion, WrongShapesAreErrors) {
  EXPECT_THROW(pixels_from_image(torch::zeros({1, 4, 2, 2})), Error);
  EXPECT_THROW(image_from_pixels(torch::zeros({2, 2, 4}, torch::kUInt8)), Error);
  EXPECT_THROW(image_from_pixels(torch::zeros({2, 2, 3})), Error);
}

#ifdef FOURSTEP_MINIMAL
TEST_F(ImageFile, MinimalBuildsSayWhatTheyLack) {
  EXPECT_THAT(error_of([&] {
                write_image(file("a.png"), {noise(2, 2, 3), {}, {}});
              }),
              AllOf(HasSubstr("without PNG"), HasSubstr(".ppm")));
}
#else

int64_t max_difference(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kInt32) - b.to(torch::kInt32)).abs().max().item<int64_t>();
}

TEST_F(ImageFile, PngKeepsEveryPixelAndTheTransparency) {
  const Tensor pixels = noise(5, 7, 3), alpha = noise(5, 7, 1).squeeze(2);
  for (const int compression : {0, 4, 9}) {
    ImageOptions options;
    options.png_compression = compression;
    write_image(file("a.png"), {pixels, {}, {}}, options);
    write_image(file("b.png"), {pixels, alpha, {}}, options);
    EXPECT_TRUE(read_image(file("a.png")).pixels.equal(pixels));
    EXPECT_FALSE(read_image(file("a.png")).alpha.defined());
    EXPECT_TRUE(read_image(file("b.png")).pixels.equal(pixels));
    EXPECT_TRUE(read_image(file("b.png")).alpha.equal(alpha));
  }
}

TEST_F(ImageFile, PixelsNeedNotBeContiguous) {
  const Tensor pixels = noise(7, 5, 3).transpose(0, 1);
  write_image(file("a.png"), {pixels, {}, {}});
  EXPECT_TRUE(read_image(file("a.png")).pixels.equal(pixels));
}

TEST_F(ImageFile, LosslessWebpKeepsEveryPixelAlsoUnderTransparency) {
  ImageOptions options;
  options.with_loss = false;
  const Tensor pixels = noise(5, 7, 3), alpha = noise(5, 7, 1).squeeze(2).bitwise_and(0x80);
  write_image(file("a.webp"), {pixels, alpha, {{"parameters", "a cat"}}}, options);
  const Image image = read_image(file("a.webp"));
  EXPECT_TRUE(image.pixels.equal(pixels));
  EXPECT_TRUE(image.alpha.equal(alpha));
  EXPECT_EQ(image.text.at("parameters"), "a cat");
}

TEST_F(ImageFile, JpegAndWebpStayWithinFewLevels) {
  const Tensor pixels = waves(32, 48);
  ImageOptions options;
  options.quality = 95;
  write_image(file("a.jpg"), {pixels, {}, {}}, options);
  write_image(file("a.webp"), {pixels, {}, {}}, options);
  EXPECT_LE(max_difference(read_image(file("a.jpg")).pixels, pixels), 6);
  EXPECT_LE(max_difference(read_image(file("a.webp")).pixels, pixels), 12);
}

TEST_F(ImageFile, LowerQualityMakesSmallerFiles) {
  ImageOptions low;
  low.quality = 20;
  for (const char* name : {"a.jpg", "a.webp"}) {
    write_image(file(name), {noise(32, 32, 3), {}, {}});
    const auto size = std::filesystem::file_size(file(name));
    write_image(file(name), {noise(32, 32, 3), {}, {}}, low);
    EXPECT_LT(std::filesystem::file_size(file(name)), size / 2);
  }
}

TEST_F(ImageFile, JpegRefusesTransparency) {
  EXPECT_THAT(error_of([&] {
                write_image(file("a.jpg"), {noise(2, 2, 3), noise(2, 2, 1).squeeze(2), {}});
              }),
              HasSubstr("no transparency"));
  EXPECT_FALSE(std::filesystem::exists(file("a.jpg")));
}

TEST_F(ImageFile, LongTextsDoNotCostTheImage) {
  const Tensor pixels = noise(2, 2, 3);
  const ImageText text{{"parameters", std::string(70000, 'x')}};
  write_image(file("a.jpg"), {pixels, {}, text});
  EXPECT_TRUE(read_image(file("a.jpg")).text.empty());
  write_image(file("a.webp"), {pixels, {}, text});
  EXPECT_EQ(read_image(file("a.webp")).text, text);
}

// RFC 9649, 2.6: canvas width minus one has 14 bits in VP8.
TEST_F(ImageFile, WhatAFormatHasNoSizesForIsKnownBefore) {
  EXPECT_NO_THROW(check_image_format(ImageFormat::kWebp, 16383, 8));
  EXPECT_THAT(error_of([&] { check_image_format(ImageFormat::kWebp, 8, 16384); }),
              HasSubstr("16383"));
  EXPECT_NO_THROW(check_image_format(ImageFormat::kPng, 16384, 16384));
  EXPECT_NO_THROW(check_image_format(ImageFormat::kJpeg, 16384, 16384));
}

TEST_F(ImageFile, HugePicturesInSmallFilesAreRefusedBeforeTheyAreDecoded) {
  // IHDR of 65535 x 65535, checksum correct; nothing else.
  std::string png("\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\xFF\xFF\0\0\xFF\xFF\x08\x02\0\0\0", 29);
  png += std::string("\x39\x67\x4E\x07", 4) + std::string("\0\0\0\0IDAT\x35\xAF\x06\x1E", 12);
  EXPECT_THAT(error_of([&] { read_image(file_with("a.png", png)); }), HasSubstr("65535x65535"));
}

#endif

}  // namespace
}  // namespace fourstep
