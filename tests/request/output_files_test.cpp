#include "request/output_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

TEST(OutputFiles, SeveralImagesAreNumbered) {
  EXPECT_EQ(output_file("x/fox.png", "a", 1, 0, 1), "x/fox.png");
  EXPECT_EQ(output_file("x/fox.png", "a", 1, 1, 3), "x/fox-2.png");
}

TEST(OutputFiles, NamesComeFromThePromptAndTheSeed) {
  EXPECT_EQ(output_file("out/", "A red fox, in the snow!", 7, 0, 1),
            "out/A-red-fox-in-the-snow-7.png");
  EXPECT_EQ(output_file("out/", "../../etc/passwd", 7, 0, 1), "out/etc-passwd-7.png");
  EXPECT_EQ(output_file("out/", "猫、雪", 7, 0, 1), "out/猫-雪-7.png");
  EXPECT_EQ(output_file("out/", "?!", 7, 0, 1), "out/image-7.png");
  EXPECT_LT(output_file("", std::string(5000, 'x'), 7, 0, 1).string().size(), 60u);
  std::string cats;
  for (int i = 0; i < 300; ++i) cats += "猫";
  EXPECT_LE(output_file("", cats, UINT64_MAX, 0, 1, ".safetensors").string().size(), 143u)
      << "eCryptfs";
}

TEST(OutputFiles, MadeUpNamesNeverOverwrite) {
  const testing::TemporaryFolder folder;
  const std::string out = folder.path().string() + "/";
  const auto first = output_file(out, "fox", 7, 0, 1);
  std::ofstream(first) << "kept";
  EXPECT_EQ(output_file(out, "fox", 7, 0, 1).filename(), "fox-7-2.png");
}

using ::testing::HasSubstr;
using testing::message_of;

class ImageOutput : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }
  static std::string refusal(const std::filesystem::path& path, int64_t width = 64) {
    return message_of<Error>([&] { check_image_output({path, width, 64, {}}); });
  }

  const std::string extension_ = kPictureExtension;
  testing::TemporaryFolder folder_;
};

TEST_F(ImageOutput, WhatCannotBeWrittenIsKnownBefore) {
  EXPECT_EQ(refusal(file("a" + extension_)), "");
  EXPECT_EQ(refusal(file(std::string(255 - extension_.size(), 'x') + extension_)), "");
  EXPECT_THAT(refusal(file(std::string(256 - extension_.size(), 'x') + extension_)),
              HasSubstr("shorter name"));
  EXPECT_THAT(refusal(file("missing/a" + extension_)), HasSubstr("missing"));
  EXPECT_THAT(refusal(file("a.bmp")), HasSubstr(".bmp"));
  EXPECT_THAT(refusal(file("a" + extension_), 20000), HasSubstr("20000x64"));
  std::filesystem::create_directory(file("folder" + extension_));
  EXPECT_THAT(refusal(file("folder" + extension_)), HasSubstr("folder"));
  std::filesystem::create_symlink("/dev/null", file("null" + extension_));
  EXPECT_THAT(refusal(file("null" + extension_)), HasSubstr("device"));
#ifndef FOURSTEP_MINIMAL
  EXPECT_THAT(refusal(file("a.webp"), 16384), HasSubstr("16383"));
#endif
  EXPECT_TRUE(std::filesystem::exists(file("folder" + extension_)));
  EXPECT_FALSE(std::filesystem::exists(file("a" + extension_))) << "nothing is left behind";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 2);
}

#ifndef FOURSTEP_MINIMAL
TEST_F(ImageOutput, WhatTheFileWillNotHoldIsSaidBefore) {
  const ImageText text{{"parameters", std::string(40000, 'x')},
                       {"fourstep", std::string(41000, 'x')}};
  EXPECT_THAT(check_image_output({file("a.jpg"), 64, 64, text}),
              ::testing::ElementsAre(::testing::AllOf(HasSubstr("\"fourstep\""),
                                                      HasSubstr("64 KiB"), HasSubstr("PNG"))));
  EXPECT_TRUE(check_image_output({file("a.webp"), 64, 64, text}).empty());
  EXPECT_TRUE(check_image_output({file("a.png"), 64, 64, text}).empty());
}
#endif

TEST_F(ImageOutput, AnImageThatCannotBeWrittenIsRescued) {
  const testing::TemporaryFolder rescue;
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before ? before : "/tmp";
  setenv("TMPDIR", rescue.path().c_str(), 1);
  const Image image{torch::zeros({2, 3, 3}, torch::kUInt8), {}, {}};
  const std::string error =
      message_of<Error>([&] { write_or_rescue_image(file("gone/a" + extension_), image); });
  setenv("TMPDIR", kept.c_str(), 1);
  const auto other = rescue.path() / ("fourstep-rescued" + extension_);
  EXPECT_THAT(error, ::testing::AllOf(HasSubstr("gone"), HasSubstr(other.string())));
  EXPECT_TRUE(torch::equal(read_image(other).pixels, image.pixels));
}

}  // namespace
}  // namespace fourstep
