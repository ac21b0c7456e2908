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
