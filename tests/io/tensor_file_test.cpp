#include "io/tensor_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {

namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::write_file;

TEST(TensorFiles, AreOpenedByContentAndNotByName) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "model.ckpt";
  write_safetensors(path, {{"w", torch::ones({2})}}, {{"k", "v"}});
  const TensorFile file = open_tensor_file(path);
  EXPECT_TRUE(torch::equal(file.tensors.at("w"), torch::ones({2})));
  EXPECT_EQ(file.metadata.at("k"), "v");
  for (const char* name : {"plain.pt", "legacy.pt"}) {
    const auto pickle = folder.path() / "model.safetensors";
    write_file(pickle, testing::read_file(testing::golden_dir() / "pickles" / name));
    EXPECT_GT(open_tensor_file(pickle).tensors.size(), 0u) << name;
  }
}

TEST(TensorFiles, ForeignFilesAreNamed) {
  const testing::TemporaryFolder folder;
  const auto refusal = [&](const std::string& bytes) {
    const auto path = write_file(folder.path() / "x.safetensors", bytes);
    const std::string message = message_of<Error>([&] { open_tensor_file(path); });
    EXPECT_THAT(message, HasSubstr(path.string()));
    return message;
  };
  EXPECT_THAT(refusal(""), HasSubstr("the file is empty"));
  EXPECT_THAT(refusal(std::string("GGUF\3\0\0\0", 8)), HasSubstr("GGUF"));
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
              HasSubstr("git lfs pull"));
  EXPECT_THAT(refusal("\n<!DOCTYPE html><html>{}"), HasSubstr("web page"));
  EXPECT_THAT(refusal("<HTML><body>404"), HasSubstr("web page"));
  EXPECT_THAT(refusal("\x80\x04]."), HasSubstr("Python pickle"));
  EXPECT_THAT(refusal(R"({"_class_name": "UNet2DConditionModel"})"), HasSubstr("JSON"));
  EXPECT_THAT(refusal("\x89PNG\r\n\x1a\n"), HasSubstr("begins with \"\\x89PNG\\x0d\\n"));
  EXPECT_THAT(refusal("PK\3\4 not really a zip file"), HasSubstr("malformed zip"));
  EXPECT_THAT(message_of<Error>([&] { open_tensor_file(folder.path()); }), HasSubstr("a folder"));
  EXPECT_THAT(message_of<Error>([&] { open_tensor_file(folder.path() / "missing"); }),
              HasSubstr("No such file"));
}

TEST(TensorFiles, ATruncatedDownloadIsCalledSo) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  write_safetensors(path, {{"w", torch::ones({100})}});
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 10);
  EXPECT_THAT(message_of<Error>([&] { open_tensor_file(path); }), HasSubstr("truncated"));
}

TEST(FileMetadata, LicencesStandInSeveralPlaces) {
  EXPECT_EQ(licence_of({{"license", "MIT"}, {"modelspec.license", "CC BY-NC 4.0"}}),
            "CC BY-NC 4.0");
  EXPECT_EQ(licence_of({{"license", "MIT"}}), "MIT");
  EXPECT_EQ(licence_of({}), "");
}

TEST(FileMetadata, AnEmptyEntryCountsAsAbsent) {
  EXPECT_EQ(first_entry({{"a", ""}, {"b", "second"}}, {"a", "b"}), "second");
  EXPECT_EQ(first_entry({{"c", "third"}}, {"a", "b"}), "");
}

}  // namespace

}  // namespace fourstep
