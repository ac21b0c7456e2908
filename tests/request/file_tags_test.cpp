#include "request/file_tags.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "io/hashes.h"
#include "io/infotext.h"
#include "io/safetensors.h"
#include "request/image_metadata.h"
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
  visit_file_fields(request.files, [&](const FieldInfo&, auto& field) { fill(field); });
  fill(request.prompt.embedding_dir);
  fill(request.prompt.wildcards);
  EXPECT_GE(count, 8);
  request.prompt.text = "a cat in /home/ann/ of my own";  // the user's words stay
  const Request shared = without_folders(request);
  EXPECT_EQ(shared.prompt.text, request.prompt.text);
  visit_fields(shared, [&](const FieldInfo& field, const auto& value) {
    if (field.name == "prompt") return;
    EXPECT_EQ(text_from_value(value).find("ann"), std::string::npos) << field.name;
  });
  EXPECT_EQ(shared.files.loras, (std::vector<LoraUse>{{"x", 0.5, 1}}));
  EXPECT_EQ(shared.files.lora_dir, (std::vector<std::string>{"x", "y"}));
}

TEST(FileTags, FilesAreNamedByTheHashesOfTheirKind) {
  const std::filesystem::path folder = ::testing::TempDir();
  setenv("XDG_CACHE_HOME", folder.c_str(), 1);  // not the developer's own
  write_safetensors(folder / "base.safetensors", {{"a", torch::zeros({2})}});
  write_safetensors(folder / "style.safetensors", {{"b", torch::ones({3})}});
  Request request;
  request.files.model = (folder / "base.safetensors").string();
  request.files.loras = {{(folder / "style.safetensors").string()}};
  write_safetensors(folder / "a,b:c.safetensors", {{"clip_l", torch::ones({1, 3})}});
  const auto inversions = {folder / "a,b:c.safetensors", folder / "style.safetensors"};
  const FileTags tags = make_file_tags(request.files, {inversions, {}}, {});
  EXPECT_EQ(tags.model, compute_hashes(folder / "base.safetensors")->auto_v2);
  EXPECT_EQ(tags.loras, "style: " + *compute_hashes(folder / "style.safetensors")->auto_v3);
  EXPECT_EQ(tags.inversions,
            "abc: " + compute_hashes(folder / "a,b:c.safetensors")->sha256.substr(0, 12) +
                ", style: " + compute_hashes(folder / "style.safetensors")->sha256.substr(0, 12));
  EXPECT_EQ(tags.vae, "");
  request.files.model = folder.string();  // a diffusers folder has no hash
  EXPECT_EQ(make_file_tags(request.files, {}, {}).model, "");
}

TEST(FileTags, SeparatePartsAreNamedWithTheirHashes) {
  const std::filesystem::path folder = ::testing::TempDir();
  setenv("XDG_CACHE_HOME", folder.c_str(), 1);  // not the developer's own
  const auto write = [&](const char* name, float value) {
    write_safetensors(folder / name, {{"a", torch::full({2}, value)}});
    return (folder / name).string();
  };
  Request request;
  request.files.model = write("base.safetensors", 0);
  request.files.loras.clear();
  request.files.unet = write("unet.safetensors", 1);
  request.files.text_encoder = write("clip_l.safetensors", 2);
  request.files.text_encoder_2 = write("clip_g-00001-of-00002.safetensors", 3);
  const auto hash = [](const std::string& file) { return compute_hashes(file)->auto_v2; };
  const std::string line =
      image_metadata(request, Family::kSdxl, make_file_tags(request.files, {}, {}))
          .at("parameters");
  EXPECT_NE(line.find("UNet hash: " + hash(request.files.unet) +
                      ", UNet: unet, Text encoder hash: " + hash(request.files.text_encoder) +
                      ", Text encoder: clip_l, Text encoder 2: clip_g"),
            std::string::npos)
      << line << ": a shard has no hash that says something";
}

TEST(FileTags, LicencesAreOneLineEach) {
  const std::string whole_text = "Licence\r\nPermission is hereby granted";
  const UsedFiles used{{},
                       {{"models/base.safetensors", ""},
                        {"dmd2.safetensors", "CC BY-NC 4.0, MIT"},
                        {"style.safetensors", whole_text},
                        {"long.safetensors", std::string(200, 'x')}}};
  const FileTags tags = make_file_tags({}, used, {});
  EXPECT_EQ(tags.licenses,
            "dmd2: CC BY-NC 4.0; MIT, style: Licence, long: " + std::string(100, 'x') + "...");
  const std::string line = image_metadata(Request(), Family::kSdxl, tags).at("parameters");
  const Infotext read = parse_infotext(line);
  const auto found = std::find_if(read.fields.begin(), read.fields.end(),
                                  [](const auto& field) { return field.first == "Licenses"; });
  ASSERT_NE(found, read.fields.end()) << line;
  EXPECT_EQ(found->second, tags.licenses);
}

}  // namespace
}  // namespace fourstep
