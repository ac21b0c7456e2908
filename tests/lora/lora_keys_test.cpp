#include "lora/lora_keys.h"

#include <gtest/gtest.h>

#include "io/single_file.h"
#include "lora/lora_match.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using Names = std::map<std::string, std::string>;

const std::string kBlock = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";
const std::string kOut = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0";

/// One level of a model: enough for every style to have something to name.
LoraTargets tiny_targets() {
  NamedShapes text{{"text_model.encoder.layers.0.self_attn.q_proj.weight", {8, 8}},
                   {"text_model.encoder.layers.0.self_attn.k_proj.weight", {8, 8}},
                   {"text_model.encoder.layers.0.self_attn.v_proj.weight", {8, 8}},
                   {"text_model.encoder.layers.0.self_attn.out_proj.weight", {8, 8}},
                   {"text_model.encoder.layers.0.mlp.fc1.weight", {32, 8}}};
  NamedShapes text_2;
  for (const auto& [name, shape] : text) text_2[name] = {2 * shape[0], 2 * shape[1]};
  text_2["text_projection.weight"] = {16, 16};
  const NamedShapes unet{{kBlock + ".weight", {6, 6}},
                         {kOut + ".weight", {6, 6}},
                         {kOut + ".bias", {6}},
                         {"down_blocks.0.resnets.0.conv1.weight", {6, 6, 3, 3}},
                         {"down_blocks.0.resnets.0.norm1.weight", {6}},
                         {"down_blocks.0.resnets.0.norm1.bias", {6}}};
  const Names ldm{
      {kBlock, "input_blocks.4.1.transformer_blocks.0.attn1.to_q"},
      {kOut + ".weight",
       "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_out.0.weight"},
      {"down_blocks.0.resnets.0.conv1", "input_blocks.1.0.in_layers.2"}};
  return {{{Component::kUnet, unet},
           {Component::kTextEncoder, text},
           {Component::kTextEncoder2, text_2}},
          ldm};
}

/// What `name` resolves to first: "component module".
std::string found(const LoraTargets& targets, const std::string& name) {
  const auto all = targets.find(name);
  if (all.empty()) return "";
  constexpr const char* kNames[] = {"unet", "vae", "text_encoder", "text_encoder_2"};
  return std::string(kNames[static_cast<int>(all[0].component)]) + " " + all[0].slices[0].module;
}

TEST(LoraKeys, EveryStyleOfUNetNamesFindsTheModule) {
  const LoraTargets targets = tiny_targets();
  for (const char* name :
       {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        "lora_unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "lycoris_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q",
        "base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "base_model.model.unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q",
        "diffusion_model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q"}) {
    EXPECT_EQ(found(targets, name), "unet " + kBlock) << name;
  }
}

TEST(LoraKeys, LegacyToOutIsItsFirstPart) {
  const LoraTargets targets = tiny_targets();
  for (const char* name :
       {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out",
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0"}) {
    EXPECT_EQ(found(targets, name), "unet " + kOut) << name;
  }
}

TEST(LoraKeys, EveryStyleOfTextEncoderNamesFindsTheModule) {
  const LoraTargets targets = tiny_targets();
  const std::string q = "text_model.encoder.layers.0.self_attn.q_proj";
  for (const char* name :
       {"lora_te_text_model_encoder_layers_0_self_attn_q_proj",
        "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj",
        "text_encoder.encoder.layers.0.self_attn.q_proj",
        "text_encoder.text_model.encoder.layers.0.self_attn.to_q",
        "text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.q_proj"}) {
    EXPECT_EQ(found(targets, name), "text_encoder " + q) << name;
  }
  for (const char* name :
       {"lora_te2_text_model_encoder_layers_0_self_attn_q_proj",
        "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj",
        "text_encoders.clip_g.transformer.text_model.encoder.layers.0.self_attn.q_proj"}) {
    EXPECT_EQ(found(targets, name), "text_encoder_2 " + q) << name;
  }
  EXPECT_EQ(found(targets, "lora_te2_text_projection"), "text_encoder_2 text_projection");
  EXPECT_EQ(found(targets, "lora_te2_transformer_resblocks_0_mlp_c_fc"),
            "text_encoder_2 text_model.encoder.layers.0.mlp.fc1");
}

TEST(LoraKeys, TheFusedProjectionOfOpenClipHasThreeSlices) {
  const auto all = tiny_targets().find("lora_te2_transformer_resblocks_0_attn_in_proj");
  ASSERT_EQ(all.size(), 1U);
  ASSERT_EQ(all[0].slices.size(), 3U);
  std::map<std::string, int64_t> begins;
  for (const auto& slice : all[0].slices) begins[slice.module] = slice.begin;
  EXPECT_EQ(begins.at("text_model.encoder.layers.0.self_attn.q_proj"), 0);
  EXPECT_EQ(begins.at("text_model.encoder.layers.0.self_attn.k_proj"), 16);
  EXPECT_EQ(begins.at("text_model.encoder.layers.0.self_attn.v_proj"), 32);
}

TEST(LoraKeys, UnknownNamesFindNothing) {
  const LoraTargets targets = tiny_targets();
  EXPECT_EQ(found(targets, "lora_unet_down_blocks_9_resnets_0_conv1"), "");
  EXPECT_EQ(found(targets, "lora_te3_text_model_encoder_layers_0_self_attn_q_proj"), "");
  EXPECT_EQ(found(targets, ""), "");
}

/// The real model: shapes and names of all Linear and convolution modules of SDXL.
struct Sdxl {
  nlohmann::json names;
  std::map<Component, NamedShapes> shapes;
  LoraTargets targets;
};

std::optional<Sdxl> load_sdxl() {
  const auto names = testing::load_golden("sdxl_lora_names.json");
  if (!names) return std::nullopt;
  std::map<Component, NamedShapes> shapes;
  Names ldm;
  for (const auto& row : names->at("unet")) {
    const std::string module = row.at("module");
    shapes[Component::kUnet][module + ".weight"] = row.at("shape").get<Shape>();
    ldm[module] = row.at("ldm");
  }
  for (const auto& row : names->at("text_encoders")) {
    const bool is_second = row.at("component") == "text_encoder_2";
    shapes[is_second ? Component::kTextEncoder2 : Component::kTextEncoder]
          [row.at("module").get<std::string>() + ".weight"] = row.at("shape").get<Shape>();
  }
  return Sdxl{*names, shapes, LoraTargets(shapes, ldm)};
}

/// The tensors of a key list, all of them views of one zero buffer.
TensorFile file_of(const nlohmann::json& list, const std::string& name) {
  const std::map<std::string, torch::Dtype> types = {{"F16", torch::kHalf}, {"F32", torch::kFloat}};
  TensorFile file;
  file.path = name;
  std::map<std::string, Tensor> buffers;
  for (const auto& [type, dtype] : types) buffers[type] = torch::zeros({4'000'000}, dtype);
  for (const auto& [key, row] : list.at("tensors").items()) {
    int64_t numel = 1;
    const Shape shape = row.at(1).get<Shape>();
    for (const int64_t n : shape) numel *= n;
    file.tensors[key] = buffers.at(row.at(0)).narrow(0, 0, numel).view(shape);
  }
  return file;
}

TEST(GoldenLoraKeys, EveryNameOfSdxlInEveryFamilyFindsItsModule) {
  const auto sdxl = load_sdxl();
  if (!sdxl) GTEST_SKIP() << "sdxl_lora_names.json";
  size_t checked = 0;
  const auto check = [&](const nlohmann::json& row, const char* field,
                         const std::string& expected) {
    if (!row.contains(field) || row.at(field).is_null()) return;
    std::string name = row.at(field);
    if (name.ends_with("_lora")) name.resize(name.size() - 5);
    EXPECT_EQ(found(sdxl->targets, name), expected) << name;
    ++checked;
  };
  for (const auto& row : sdxl->names.at("unet")) {
    const std::string expected = "unet " + row.at("module").get<std::string>();
    for (const char* field : {"kohya_ldm", "kohya_diffusers", "peft", "legacy_processor"}) {
      check(row, field, expected);
    }
  }
  for (const auto& row : sdxl->names.at("text_encoders")) {
    const std::string expected =
        row.at("component").get<std::string>() + " " + row.at("module").get<std::string>();
    for (const char* field : {"kohya", "peft", "legacy_to_x"}) check(row, field, expected);
  }
  testing::report_golden("sdxl_lora_names.json", checked, 0);
}

TEST(GoldenLoraKeys, PublicKeyListsMatchCompletely) {
  const auto sdxl = load_sdxl();
  if (!sdxl) GTEST_SKIP() << "sdxl_lora_names.json";
  size_t checked = 0;
  const Names summaries = {{"dmd2_lora_kohya_fp16.json", "788/788 modules"},
                           {"dmd2_lora_kohya_fp32.json", "788/788 modules"},
                           {"dmd2_lora_peft_fp16.json", "788/788 modules"},
                           {"kohya_sdxl_lora_rank16.json",
                            "986/986 modules (722 unet, 72 text_encoder, 192 text_encoder_2)"}};
  for (const auto& [name, expected] : summaries) {
    const auto list = testing::load_golden(name);
    if (!list) continue;
    const LoraMatch match = match_lora(parse_lora(file_of(*list, name)), sdxl->targets);
    EXPECT_EQ(summary(match), expected) << name << " " << match.likely_cause;
    EXPECT_EQ(match.num_modules, list->at("modules").get<size_t>()) << name;
    EXPECT_NO_THROW(check_complete(match)) << name;
    ++checked;
  }
  testing::report_golden("key lists", checked, 0);
}

TEST(GoldenLoraKeys, TheNamesThatTheCheckpointReaderDerivesServeAsWell) {
  const auto sdxl = load_sdxl();
  const auto list = testing::load_golden("kohya_sdxl_lora_rank16.json");
  if (!sdxl || !list) GTEST_SKIP() << "sdxl_lora_names.json, kohya_sdxl_lora_rank16.json";
  const LoraTargets targets(sdxl->shapes, ldm_unet_names(sdxl->shapes.at(Component::kUnet)));
  const LoraMatch match = match_lora(parse_lora(file_of(*list, "kohya")), targets);
  EXPECT_NO_THROW(check_complete(match));
  EXPECT_EQ(match.matched.size(), list->at("modules").get<size_t>());
}

}  // namespace
}  // namespace fourstep
