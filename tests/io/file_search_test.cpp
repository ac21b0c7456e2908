#include "io/file_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <fstream>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {

namespace {

namespace fs = std::filesystem;

class FileSearch : public ::testing::Test {
 protected:
  void add(const std::string& name) {
    fs::create_directories((folder_.path() / name).parent_path());
    std::ofstream(folder_.path() / name) << "x";
  }
  std::vector<NamedFile> list(int depth = 8) const {
    return list_files({folder_.path().string()}, {".safetensors", ".pt"}, "--lora-dir", depth);
  }
  std::string found(std::string_view name) const {
    const auto files = list();
    const NamedFile* file = find_named(files, name);
    return file ? file->name : "";
  }

  testing::TemporaryFolder folder_;
};

TEST_F(FileSearch, NamesComeWithSubFoldersAndWithoutExtensions) {
  add("b.safetensors");
  add("sub/deep/a.PT");
  add("readme.txt");
  const auto files = list();
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].name, "b");
  EXPECT_EQ(files[1].name, "sub/deep/a");
  EXPECT_EQ(list(0).size(), 1u);
  EXPECT_THROW(list_files({"/no/such/folder"}, {".pt"}, "--lora-dir"), InvalidRequest);
}

TEST_F(FileSearch, CapitalsExtensionAndFolderMayBeLeftOut) {
  add("styles/Ink.v2.safetensors");
  for (const char* name :
       {"styles/Ink.v2", "Ink.v2", "ink.V2", "INK.v2.SAFETENSORS", "styles/ink.v2.safetensors"})
    EXPECT_EQ(found(name), "styles/Ink.v2") << name;
  EXPECT_EQ(found("Ink"), "");
  EXPECT_EQ(found("Ink.v2.pt"), "");
  EXPECT_EQ(found(""), "");
}

TEST_F(FileSearch, TheNameThatAgreesMoreGoesFirst) {
  add("a/ink.pt");
  add("b/INK.pt");
  add("ink2.pt");
  EXPECT_EQ(found("INK"), "b/INK");
  EXPECT_EQ(found("ink"), "a/ink");
  EXPECT_EQ(found("B/ink"), "b/INK");
}

TEST_F(FileSearch, FoldersThatLinkToThemselvesEnd) {
  add("ink.pt");
  fs::create_directory_symlink(folder_.path(), folder_.path() / "again");
  EXPECT_FALSE(list().empty());
}

TEST_F(FileSearch, TheNearestNamesAreNamed) {
  add("watercolour.pt");
  add("ink.pt");
  EXPECT_EQ(nearest_names(list(), "watercolor"), "; nearest: watercolour, ink");
  EXPECT_EQ(nearest_names({}, "x"), "");
}

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
