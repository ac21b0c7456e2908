#include "pipeline/output_files.h"

#include <gtest/gtest.h>

#include <fstream>

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

}  // namespace
}  // namespace fourstep
