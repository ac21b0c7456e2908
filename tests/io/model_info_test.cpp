#include "io/model_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "support/golden.h"
#include "support/scaled_fp8.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

ModelInfo describe(const TensorFile& file) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "tiny.safetensors";
  write_safetensors(path, file.tensors, file.metadata);
  return describe_model(path);
}

TensorFile tiny_file() {
  Checkpoint model = testing::tiny_sdxl();
  model.components.erase(Component::kTextEncoder2);
  for (auto& [name, tensor] : model.components[Component::kVae]) tensor = tensor.to(torch::kHalf);
  model.components[Component::kVae]["decoder.conv_in.bias"] = torch::zeros({32});
  model.prediction = Prediction::kV;
  model.hints.unet_heads = {2, 4};
  TensorFile file = single_file_of(model);
  file.tensors["stray.weight"] = torch::zeros({2});
  file.metadata["title"] = "Tiny \x1b[31m";
  file.metadata["notes"] = std::string(5000, 'x');
  return file;
}

TEST(ModelInfo, ScalesAreNoTensorsOfANetworkAndItsTypeSaysScaled) {
  const TensorFile plain = tiny_file();
  const ModelInfo expected = describe(plain);
  const ModelInfo info = describe({{}, testing::scaled_fp8_of(plain.tensors).scaled, {}, nullptr});
  ASSERT_EQ(info.components.size(), expected.components.size());
  for (size_t i = 0; i < info.components.size(); ++i) {
    EXPECT_EQ(info.components[i].tensors, expected.components[i].tensors);
    EXPECT_EQ(info.components[i].parameters, expected.components[i].parameters);
    EXPECT_LT(info.components[i].bytes, expected.components[i].bytes) << "one byte each";
  }
  EXPECT_THAT(info.components[0].dtypes, HasSubstr("scaled fp8 (F8_E4M3), F32"));
  EXPECT_EQ(info.num_unknown, expected.num_unknown);
  EXPECT_GT(info.num_ignored, expected.num_ignored);
}

TEST(ModelInfo, QuantisedFilesAreDescribedAndRefused) {
  TensorFile file = tiny_file();
  Tensor& weight = file.tensors.at("model.diffusion_model.input_blocks.0.0.weight");
  weight = torch::ones(weight.sizes(), torch::kChar);
  const ModelInfo info = describe(file);
  EXPECT_EQ(info.name, "SDXL");
  EXPECT_THAT(info.refusal, HasSubstr("int8 without a scale"));
  EXPECT_THAT(info.components[0].dtypes, HasSubstr("I8"));
}

TEST(ModelInfo, WhatPartsLackIsSaid) {
  Checkpoint model = testing::tiny_sdxl();
  model.components[Component::kTextEncoder2].erase("text_projection.weight");
  std::erase_if(model.components[Component::kVae],
                [](const auto& item) { return !item.first.starts_with("decoder."); });
  const ModelInfo info = describe(single_file_of(model));
  const json object = json::parse(model_info_json(info));
  EXPECT_EQ(object["incomplete"][0]["name"], "text_encoder_2");
  EXPECT_EQ(object["incomplete"][0]["missing_weights"], json::array({"text_projection.weight"}));
  const std::string text = model_info_text(info);
  EXPECT_THAT(text, HasSubstr("text_projection.weight"));
  EXPECT_THAT(text, HasSubstr("--text-encoder-2"));
  EXPECT_THAT(text, HasSubstr("the VAE is a decoder alone"));
}

TEST(ModelInfo, TextEncodersAreCalledByTheirWidth) {
  TensorFile file;
  file.tensors = testing::random_tensors(testing::tiny_text_shapes(1, 768, false));
  const ModelInfo info = describe(file);
  EXPECT_EQ(info.name, "CLIP ViT-L/14 (width 768) without a UNet");
  EXPECT_THAT(info.refusal, HasSubstr("--text-encoder"));
}

TEST(ModelInfo, JsonHoldsTheFacts) {
  const TensorFile file = tiny_file();
  const json info = json::parse(model_info_json(describe(file)));
  EXPECT_EQ(info["family"], "SDXL");
  EXPECT_EQ(info["layout"], "single file");
  EXPECT_EQ(info["can_be_sampled"], true);
  EXPECT_EQ(info["prediction"], "v_prediction");
  EXPECT_EQ(info["zero_terminal_snr"], false);
  EXPECT_EQ(info["missing"], json::array({"text_encoder_2"}));
  EXPECT_EQ(info["tensors"]["total"], file.tensors.size());
  EXPECT_EQ(info["tensors"]["unknown"], 1);
  EXPECT_EQ(info["tensors"]["ignored"], 1) << "v_pred";
  EXPECT_EQ(info["first_unknown"], json::array({"stray.weight"}));
  EXPECT_EQ(info["architecture"]["channels"], json::array({32, 64}));
  EXPECT_EQ(info["architecture"]["down_depth"], json::parse("[[0,0],[2,2]]"));
  EXPECT_EQ(info["architecture"]["heads"], json::array({2, 4}));
  EXPECT_EQ(info["architecture"]["latent_channels"], 4);
  EXPECT_EQ(info["architecture"]["text_width"], 16);
  EXPECT_EQ(info["architecture"]["text_layers"], 2);
  EXPECT_FALSE(info.contains("hashes"));
}

TEST(ModelInfo, ComponentsAreCountedWithTheirDtypes) {
  const ModelInfo info = describe(tiny_file());
  ASSERT_EQ(info.components.size(), 3u);
  EXPECT_EQ(info.components[0].dtypes, "F32");
  EXPECT_EQ(info.components[1].component, Component::kVae);
  EXPECT_EQ(info.components[1].dtypes, "F16, F32");
  int64_t parameters = 0;
  for (const auto& [name, shape] : testing::tiny_vae_shapes({16, 32, 32}, 1))
    parameters += std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  EXPECT_EQ(info.components[1].parameters, parameters);
  EXPECT_EQ(info.components[1].bytes, static_cast<uint64_t>(2 * (parameters - 32) + 4 * 32));
}

TEST(ModelInfo, TheTableEscapesForeignTextAndShortensIt) {
  const std::string text = model_info_text(describe(tiny_file()));
  EXPECT_THAT(text, HasSubstr("SDXL"));
  EXPECT_THAT(text, HasSubstr("missing         text_encoder_2"));
  EXPECT_THAT(text, HasSubstr("(5000 bytes)"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_LT(text.size(), 4000u);
}

TEST(ModelInfo, RefusedFilesAreDescribedToo) {
  const ModelInfo info =
      describe({"", {{"lora_unet_x.lora_down.weight", torch::zeros({2, 2})}}, {}, nullptr});
  EXPECT_EQ(info.name, "LoRA");
  EXPECT_THAT(info.refusal, HasSubstr("--lora"));
  EXPECT_TRUE(info.missing.empty());
  EXPECT_EQ(json::parse(model_info_json(info))["can_be_sampled"], false);
  EXPECT_THAT(model_info_text(info), HasSubstr("cannot be used"));
}

TEST(ModelInfo, HashesAreShownOnceTheyAreComputed) {
  ModelInfo info;
  info.hashes =
      FileHashes{.sha256 = "aa", .auto_v1 = "bb", .auto_v2 = "cc", .auto_v3 = std::nullopt};
  const json object = json::parse(model_info_json(info));
  EXPECT_EQ(object["hashes"]["auto_v2"], "cc");
  EXPECT_FALSE(object["hashes"].contains("auto_v3"));
  EXPECT_THAT(model_info_text(info), HasSubstr("AutoV2          cc"));
}

TEST(ModelInfo, AMissingFileIsAnError) {
  EXPECT_THROW(describe_model("/nonexistent/x.safetensors"), Error);
}

}  // namespace
}  // namespace fourstep
