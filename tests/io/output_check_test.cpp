#include "io/output_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

TEST(OutputCheck, FilesThatAreReadAreRefusedByAnyPath) {
  const testing::TemporaryFolder folder;
  const auto input = folder.path() / "a.safetensors";
  std::ofstream(input) << "x";
  const auto message = [&](const std::filesystem::path& output) {
    return testing::message_of<InvalidRequest>([&] {
      check_output(output, {"absent.safetensors", input}, {".safetensors"});
    });
  };
  EXPECT_THAT(message(input), HasSubstr("is one of the files that are read"));
  EXPECT_THAT(message(folder.path() / "." / "a.safetensors"), HasSubstr("files that are read"));
  std::filesystem::create_symlink(input, folder.path() / "link.safetensors");
  EXPECT_THAT(message(folder.path() / "link.safetensors"), HasSubstr("files that are read"));
  EXPECT_EQ(message(folder.path() / "b.safetensors"), "");
}

TEST(OutputCheck, TheOtherShardsAndTheFilesOfAFolderAreReadToo) {
  const testing::TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return folder.path() / name; };
  std::filesystem::create_directory(path("unet"));
  for (const char* name : {"x-00001-of-00002.safetensors", "x-00002-of-00002.safetensors",
                           "x-00002-of-00003.safetensors", "unet/model.safetensors"})
    std::ofstream(path(name)) << "x";
  const auto is_refused = [&](const std::string& input, const std::string& output) {
    return !testing::message_of<InvalidRequest>([&] {
              check_output(path(output), {path(input)}, {".safetensors"});
            }).empty();
  };
  EXPECT_TRUE(is_refused("x-00001-of-00002.safetensors", "x-00002-of-00002.safetensors"));
  EXPECT_FALSE(is_refused("x-00001-of-00002.safetensors", "x-00002-of-00003.safetensors"));
  EXPECT_TRUE(is_refused("unet", "unet/model.safetensors"));
  EXPECT_FALSE(is_refused("unet", "unet/new.safetensors"));
  EXPECT_FALSE(is_refused("unet", "unet.safetensors"));
}

TEST(OutputCheck, NamesTellWhatIsInside) {
  const auto message = [](const char* output) {
    return testing::message_of<InvalidRequest>([&] { check_output(output, {}, {".svg", ".xml"}); });
  };
  EXPECT_EQ(message("plot.svg"), "");
  EXPECT_EQ(message("plot.xml"), "");
  EXPECT_EQ(message("plot.png"), "\"plot.png\": the output's name must end with .svg or .xml");
  EXPECT_THAT(message("plot"), HasSubstr("must end with"));
}

}  // namespace
}  // namespace fourstep
