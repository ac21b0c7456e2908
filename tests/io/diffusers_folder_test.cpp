#include "io/diffusers_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;
using testing::equal_tensors;
using ::testing::HasSubstr;

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string weights_name(Component component) {
  return component == Component::kUnet || component == Component::kVae ? "diffusion_pytorch_model"
                                                                       : "model";
}

/// A diffusers folder on disk of the model given; `variant` goes into the file names (".fp16").
class SavedFolder {
 public:
  explicit SavedFolder(const Checkpoint& model, const std::string& variant = "") {
    std::string index = R"({"_class_name":"StableDiffusionXLPipeline")";
    for (const auto& [component, tensors] : model.components) {
      const fs::path folder = path() / to_string(component);
      fs::create_directories(folder);
      write_safetensors(folder / (weights_name(component) + variant + ".safetensors"), tensors);
      index += fmt::format(",\"{}\":[\"diffusers\",\"X\"]", to_string(component));
    }
    write_text(path() / "model_index.json", index + R"(,"image_encoder":[null,null]})");
  }
  const fs::path& path() const { return folder_.path(); }
  void write(const std::string& file, const std::string& text) const {
    write_text(path() / file, text);
  }

 private:
  testing::TemporaryFolder folder_;
};

void expect_same(const Checkpoint& got, const Checkpoint& expected) {
  ASSERT_EQ(got.components.size(), expected.components.size());
  for (const auto& [component, tensors] : expected.components)
    EXPECT_TRUE(equal_tensors(got.components.at(component), tensors)) << to_string(component);
}

std::string refusal_of(const fs::path& path) {
  return testing::message_of<Error>([&] { open_checkpoint(path); });
}

/// Replaces the UNet's file of a folder by two shards and their index.
void shard_unet(const SavedFolder& folder, const NamedTensors& unet,
                const std::string& index_name) {
  fs::remove(folder.path() / "unet/diffusion_pytorch_model.safetensors");
  NamedTensors shards[2];
  std::string map;
  for (const auto& [name, tensor] : unet) {
    const int shard = static_cast<int>(name.size() % 2);
    shards[shard][name] = tensor;
    map += fmt::format("{}\"{}\":\"part-{}.safetensors\"", map.empty() ? "" : ",", name, shard);
  }
  for (int i = 0; i < 2; ++i)
    write_safetensors(folder.path() / fmt::format("unet/part-{}.safetensors", i), shards[i]);
  folder.write("unet/" + index_name, "{\"metadata\":{},\"weight_map\":{" + map + "}}");
}

TEST(DiffusersFolder, AFolderGivesTheTensorsOfItsFiles) {
  const Checkpoint model = testing::tiny_sdxl();
  for (const std::string variant : {"", ".fp16", ".non_ema"}) {
    const SavedFolder folder(model, variant);
    const Checkpoint opened = open_checkpoint(folder.path());
    EXPECT_EQ(opened.family, Family::kSdxl);
    expect_same(opened, model);
  }
}

TEST(DiffusersFolder, ThePlainFileIsPreferredToTheVariant) {
  const Checkpoint model = testing::tiny_sdxl();
  const SavedFolder folder(model);
  write_safetensors(folder.path() / "vae/diffusion_pytorch_model.fp16.safetensors",
                    {{"x", torch::ones({1})}});
  expect_same(open_checkpoint(folder.path()), model);
}

TEST(DiffusersFolder, Sd15HasOneTextEncoder) {
  const Checkpoint model = testing::tiny_sd15();
  const SavedFolder folder(model);
  const Checkpoint opened = open_checkpoint(folder.path());
  EXPECT_EQ(opened.family, Family::kSd15);
  expect_same(opened, model);
}

TEST(DiffusersFolder, ShardsAreJoinedByTheirIndex) {
  const Checkpoint model = testing::tiny_sdxl();
  for (const std::string index : {"diffusion_pytorch_model.safetensors.index.json",
                                  "diffusion_pytorch_model.safetensors.index.fp16.json"}) {
    const SavedFolder folder(model);
    shard_unet(folder, model.components.at(Component::kUnet), index);
    const Checkpoint opened = open_checkpoint(folder.path());
    expect_same(opened, model);
  }
}

TEST(DiffusersFolder, ShardsThatAreMissingOrElsewhereAreRefused) {
  const Checkpoint model = testing::tiny_sdxl();
  const SavedFolder folder(model);
  const std::string index = "unet/diffusion_pytorch_model.safetensors.index.json";
  fs::remove(folder.path() / "unet/diffusion_pytorch_model.safetensors");
  folder.write(index, R"({"weight_map":{"conv_in.weight":"part-0.safetensors"}})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("part-0.safetensors"));
  for (const std::string outside : {"../vae/x.safetensors", "/etc/passwd", "..", ""}) {
    folder.write(index, "{\"weight_map\":{\"conv_in.weight\":\"" + outside + "\"}}");
    EXPECT_THAT(refusal_of(folder.path()), HasSubstr("plain file name")) << outside;
  }
  folder.write(index, R"({"weight_map":{"conv_in.weight":5}})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("plain file name"));
  folder.write(index, "{}");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("weight_map"));
  write_safetensors(folder.path() / "unet/part-0.safetensors", {{"other", torch::ones({1})}});
  folder.write(index, R"({"weight_map":{"conv_in.weight":"part-0.safetensors"}})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("conv_in.weight"));
}

TEST(DiffusersFolder, ConfigAndSchedulerFilesAreHeeded) {
  const SavedFolder folder(testing::tiny_sdxl());
  folder.write("unet/config.json", R"({"attention_head_dim":[2,4]})");
  folder.write("text_encoder/config.json", R"({"num_attention_heads":2})");
  folder.write("vae/config.json", R"({"scaling_factor":0.5,"force_upcast":false})");
  folder.write("scheduler/scheduler_config.json",
               R"({"prediction_type":"v_prediction","rescale_betas_zero_snr":true})");
  folder.write("tokenizer/merges.txt", "#version");
  const Checkpoint opened = open_checkpoint(folder.path());
  EXPECT_EQ(opened.hints.unet_heads, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(opened.hints.text_heads, 2);
  EXPECT_DOUBLE_EQ(opened.hints.vae_scaling_factor, 0.5);
  EXPECT_EQ(opened.hints.vae_force_upcast, false);
  EXPECT_EQ(opened.prediction, Prediction::kV);
  EXPECT_TRUE(opened.zero_terminal_snr);
  EXPECT_EQ(opened.tokenizer_folder, folder.path() / "tokenizer");
}

TEST(DiffusersFolder, ModelsThatCannotBeSampledAreNamed) {
  const Checkpoint model = testing::tiny_sdxl();
  const SavedFolder folder(model);
  folder.write("scheduler/scheduler_config.json",
               R"({"_class_name":"EDMDPMSolverMultistepScheduler"})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("Playground"));
  folder.write("scheduler/scheduler_config.json", R"({"prediction_type":"sample"})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("\"sample\""));
  folder.write("model_index.json",
               R"({"_class_name":"FluxPipeline","transformer":["diffusers","X"]})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("found Flux"));
  folder.write("model_index.json", R"({"_class_name":"KandinskyPipeline"})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("KandinskyPipeline"));
  folder.write("model_index.json",
               R"({"requires_aesthetics_score":true,"unet":["diffusers","X"]})");
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("refiner"));
}

TEST(DiffusersFolder, AbsentComponentsAndTextEncodersWithoutTheirOuterNameAreTaken) {
  Checkpoint model = testing::tiny_sdxl();
  const NamedTensors text = model.components.at(Component::kTextEncoder);
  const SavedFolder folder(model);
  fs::remove_all(folder.path() / "vae");
  NamedTensors short_names = {{"embeddings.position_ids", torch::arange(77).unsqueeze(0)}};
  for (const auto& [name, tensor] : text) short_names[name.substr(11)] = tensor;
  write_safetensors(folder.path() / "text_encoder/model.safetensors", short_names);
  const Checkpoint opened = open_checkpoint(folder.path());
  EXPECT_FALSE(opened.has(Component::kVae));
  EXPECT_TRUE(equal_tensors(opened.components.at(Component::kTextEncoder), text));
}

TEST(DiffusersFolder, TheFolderOfOneNetworkIsTakenForWhatItHolds) {
  const Checkpoint model = testing::tiny_sdxl();
  const SavedFolder folder(model);
  folder.write("unet/config.json", R"({"attention_head_dim":[2,4]})");
  const Checkpoint unet = open_checkpoint(folder.path() / "unet");
  EXPECT_TRUE(
      equal_tensors(unet.components.at(Component::kUnet), model.components.at(Component::kUnet)));
  EXPECT_EQ(unet.hints.unet_heads, (std::vector<int64_t>{2, 4}));
  folder.write("vae/config.json", R"({"scaling_factor":0.25})");
  EXPECT_THAT(refusal_of(folder.path() / "vae"), HasSubstr("VAE"));
  for (const fs::path& path : {folder.path(), folder.path() / "vae"}) {
    EXPECT_TRUE(equal_tensors(open_vae(path), model.components.at(Component::kVae)));
    EXPECT_DOUBLE_EQ(open_vae_hints(path).vae_scaling_factor, 0.25);
  }
}

TEST(DiffusersFolder, FoldersWithoutAModelAreRefused) {
  const testing::TemporaryFolder empty;
  EXPECT_THAT(refusal_of(empty.path()), HasSubstr("model_index.json"));
  write_text(empty.path() / "model_index.json", "{");
  EXPECT_THAT(refusal_of(empty.path()), HasSubstr("no JSON object"));
  write_text(empty.path() / "model_index.json", R"({"unet":["diffusers","X"]})");
  fs::create_directories(empty.path() / "unet");
  EXPECT_THAT(refusal_of(empty.path()), HasSubstr("no weights"));
}

}  // namespace
}  // namespace fourstep
