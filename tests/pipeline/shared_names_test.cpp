#include "pipeline/shared_names.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "support/golden.h"

namespace fourstep {
namespace {

TEST(SharedNames, OfAPathOnlyTheLastPartIsShown) {
  EXPECT_EQ(shared_name("/home/ann/models/base.safetensors"), "base.safetensors");
  EXPECT_EQ(shared_name("models/base.safetensors"), "base.safetensors");
  EXPECT_EQ(shared_name("base.safetensors"), "base.safetensors");
  EXPECT_EQ(shared_name("/home/ann/models/sdxl//"), "sdxl");
  EXPECT_EQ(shared_name("C:\\Users\\Ann\\models\\base.safetensors"), "base.safetensors");
  EXPECT_EQ(shared_name("../x/../.."), "..");
  EXPECT_EQ(shared_name("/"), "");
  EXPECT_EQ(shared_name(""), "");
}

TEST(SharedNames, TheUsersHomeIsNotNamed) {
  const testing::TemporaryFolder home;
  const char* before = std::getenv("HOME");
  const std::string kept = before ? before : "";
  setenv("HOME", home.path().c_str(), 1);
  EXPECT_EQ(shared_name(home.path().string() + "/"), "~");
  EXPECT_EQ(shared_name(home.path().string() + "/loras"), "loras");
  setenv("HOME", kept.c_str(), 1);
}

TEST(SharedNames, EveryFileAndFolderOfARequestIsCovered) {
  Request request;
  const std::string folder = "/home/ann/";
  int64_t count = 0;
  // Whatever is a text or a list of texts in the group of files names files.
  const auto fill = [&](auto& field) {
    using Type = std::decay_t<decltype(field)>;
    ++count;
    if constexpr (std::is_same_v<Type, std::string>) field = folder + "x";
    if constexpr (std::is_same_v<Type, std::vector<std::string>>)
      field = {folder + "x", folder + "y/"};
    if constexpr (std::is_same_v<Type, std::vector<LoraUse>>) field = {{folder + "x", 0.5, 1}};
  };
  visit_file_fields(request, [&](const FieldInfo&, auto& field) { fill(field); });
  fill(request.embedding_dir);
  fill(request.wildcards);
  EXPECT_GE(count, 8);
  request.prompt = "a cat in /home/ann/ of my own";  // the user's words stay
  const Request shared = without_folders(request);
  EXPECT_EQ(shared.prompt, request.prompt);
  visit_fields(shared, [&](const FieldInfo& field, const auto& value) {
    if (field.name == "prompt") return;
    EXPECT_EQ(text_from_value(value).find("ann"), std::string::npos) << field.name;
  });
  EXPECT_EQ(shared.loras, (std::vector<LoraUse>{{"x", 0.5, 1}}));
  EXPECT_EQ(shared.lora_dir, (std::vector<std::string>{"x", "y"}));
}

}  // namespace
}  // namespace fourstep
