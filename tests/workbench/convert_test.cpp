#include "workbench/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;

MergeSettings settings_of(std::optional<Storage> storage = std::nullopt) {
  MergeSettings settings;
  settings.storage = storage;
  settings.with_hashes = false;
  return settings;
}

class Convert : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_tiny_sdxl(path("model.safetensors")); }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  testing::TemporaryFolder folder_;
};

void expect_same(const Checkpoint& a, const Checkpoint& b) {
  ASSERT_EQ(a.components.size(), b.components.size());
  for (const auto& [component, weights] : a.components) {
    ASSERT_EQ(weights.size(), b.components.at(component).size());
    for (const auto& [name, tensor] : weights) {
      EXPECT_EQ(bytes_of(tensor), bytes_of(b.components.at(component).at(name))) << name;
    }
  }
}

TEST_F(Convert, ThroughAFolderAndBackNothingChanges) {
  convert_model(path("model.safetensors"), settings_of(), path("folder"), {});
  const Checkpoint before = open_checkpoint(path("model.safetensors"));
  const Checkpoint folder = open_checkpoint(path("folder"));
  expect_same(before, folder);
  EXPECT_EQ(folder.family, before.family);
  EXPECT_EQ(folder.prediction, before.prediction);
  convert_model(path("folder"), settings_of(), path("back.safetensors"), {});
  expect_same(before, open_checkpoint(path("back.safetensors")));
}

TEST_F(Convert, MetadataAndVocabularyGoThroughAFolderAndBack) {
  const std::map<std::string, std::string> said{{"modelspec.resolution", "64x64"},
                                                {"modelspec.license", "Apache-2.0"},
                                                {"sd_merge_recipe", "{}"},
                                                {"fourstep.merges", "a b</w>\nc d</w>"}};
  testing::write_tiny_sdxl(path("said.safetensors"), [&](Checkpoint& model) {
    model.metadata = said;
    model.merges_text = said.at("fourstep.merges");
  });
  convert_model(path("said.safetensors"), settings_of(), path("folder"), {});
  convert_model(path("folder"), settings_of(), path("back.safetensors"), {});
  for (const char* name : {"folder", "back.safetensors"}) {
    const Checkpoint model = open_checkpoint(path(name));
    EXPECT_EQ(native_side_of(model), 64) << name;
    EXPECT_EQ(model.merges_text, said.at("fourstep.merges")) << name;
    for (const auto& [key, text] : said) EXPECT_EQ(model.metadata.at(key), text) << name;
  }
}

TEST_F(Convert, ValuesBeyondFp16AreRefusedInFoldersToo) {
  testing::write_tiny_sdxl(path("large.safetensors"), [](Checkpoint& model) {
    auto& unet = model.components.at(Component::kUnet);
    unet.at("conv_in.weight") = torch::full_like(unet.at("conv_in.weight"), 1e6, torch::kFloat);
  });
  for (const char* output : {"folder", "file.safetensors"}) {
    EXPECT_THAT(message_of<Error>([&] {
                  convert_model(path("large.safetensors"), settings_of(Storage::kFp16),
                                path(output), {});
                }),
                HasSubstr("is beyond fp16's largest value (65504)"))
        << output;
    EXPECT_FALSE(std::filesystem::exists(path(output)));
  }
}

TEST_F(Convert, FoldersSayWhatShapesCannot) {
  testing::write_tiny_sdxl(path("v.safetensors"), [](Checkpoint& model) {
    model.prediction = Prediction::kV;
    model.hints.vae_scaling_factor = 0.5;
    model.hints.text_activation = "gelu";
    model.hints.unet_heads = {2, 4};
  });
  convert_model(path("v.safetensors"), settings_of(), path("folder"), {});
  const Checkpoint folder = open_checkpoint(path("folder"));
  EXPECT_EQ(folder.prediction, Prediction::kV);
  EXPECT_EQ(folder.hints.vae_scaling_factor, 0.5);
  EXPECT_EQ(folder.hints.text_activation, "gelu");
  EXPECT_EQ(folder.hints.unet_heads, (std::vector<int64_t>{2, 4}));
}

TEST_F(Convert, TypesChangeByOneRounding) {
  convert_model(path("model.safetensors"), settings_of(Storage::kBf16), path("b.safetensors"), {});
  convert_model(path("model.safetensors"), settings_of(Storage::kBf16), path("folder"), {});
  const Checkpoint before = open_checkpoint(path("model.safetensors"));
  const Checkpoint file = open_checkpoint(path("b.safetensors"));
  expect_same(file, open_checkpoint(path("folder")));
  for (const auto& [name, tensor] : before.components.at(Component::kUnet)) {
    EXPECT_EQ(bytes_of(tensor.to(torch::kBFloat16)),
              bytes_of(file.components.at(Component::kUnet).at(name)))
        << name;
  }
}

TEST_F(Convert, FoldersAreNeverHalfWritten) {
  Events events;
  int calls = 0;
  events.is_cancelled = [&] { return ++calls > 30; };
  EXPECT_THROW(convert_model(path("model.safetensors"), settings_of(), path("folder"), events),
               Cancelled);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  std::filesystem::create_directory(path("there"));
  const auto refusal = [&](const std::filesystem::path& output) {
    return message_of<Error>(
        [&] { convert_model(path("model.safetensors"), settings_of(), output, {}); });
  };
  EXPECT_THAT(refusal(path("there")), HasSubstr("exists already"));
  EXPECT_THAT(refusal(path("no/folder")), HasSubstr("cannot make the folder"));
}

}  // namespace
}  // namespace fourstep
