#include "io/model_family.h"

#include <gtest/gtest.h>

#include "io/key_names.h"
#include "key_tables.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

using testing::load_golden;
using testing::TinyUNet;

Recognition recognise_file(const NamedShapes& file) {
  const NamedTensors tensors = testing::meta_tensors(file);
  std::map<Component, NamedTensors> components;
  apply_rows(key_table(file).rows, tensors, components);
  return recognise(file, shapes_of(components[Component::kUnet]));
}

Recognition recognise_tiny(const TinyUNet& unet) {
  return recognise_file(testing::tiny_unet_shapes(unet));
}

/// The shapes of a published single file.
std::optional<NamedShapes> published(const std::string& name) {
  const auto golden = load_golden("keys/" + name + ".json");
  if (!golden) return std::nullopt;
  return testing::file_shapes(testing::table_rows(*golden));
}

TEST(GoldenModelFamily, PublishedModelsAreRecognised) {
  size_t checked = 0;
  for (const auto& [name, family] : {std::pair{"sdxl", Family::kSdxl}, {"sd15", Family::kSd15}})
    if (const auto file = published(name)) {
      EXPECT_EQ(recognise_file(*file).family, family) << name;
      ++checked;
    }
  for (const auto& [name, family] :
       {std::pair{"ssd_1b", Family::kSsd1b}, {"segmind_vega", Family::kVega}})
    if (const auto golden = load_golden(std::string("keys/") + name + ".json")) {
      EXPECT_EQ(recognise_file(testing::unet_column(*golden, 0)).family, family) << name;
      EXPECT_EQ(recognise_file(testing::unet_column(*golden, 1)).family, family) << name;
      ++checked;
    }
  if (checked == 0) GTEST_SKIP();
  testing::report_golden("keys/*.json", checked, 0);
}

TEST(GoldenModelFamily, SmallUNetsMadeByDiffusersAreRecognisedInBothLayouts) {
  const auto golden = load_golden("keys/tiny.json");
  if (!golden) GTEST_SKIP();
  size_t checked = 0;
  for (const auto& item : (*golden)["cases"]) {
    if (item["component"] != "unet") continue;
    for (const int column : {0, 1})
      EXPECT_EQ(recognise_file(testing::unet_column(item, column)).name, item["family"])
          << item["name"];
    ++checked;
  }
  testing::report_golden("keys/tiny.json", checked, (*golden)["cases"].size() - checked);
}

TEST(GoldenModelFamily, TheRefinerIsNamedWithAndWithoutItsTextEncoder) {
  const auto golden = load_golden("keys/sdxl_refiner.json");
  if (!golden) GTEST_SKIP();
  NamedShapes file, unet;
  for (const auto& row : (*golden)["rows"]) {
    const std::string name = row[0];
    file[name] = row[1].get<Shape>();
    if (name.starts_with("model.diffusion_model.")) unet[name] = file[name];
  }
  EXPECT_EQ(recognise_file(file).name, "SDXL refiner");
  EXPECT_EQ(recognise_file(unet).name, "SDXL refiner");
  EXPECT_FALSE(recognise_file(unet).family);
}

TEST(GoldenModelFamily, InpaintingAndEditingModelsAreNamedByTheirInputChannels) {
  auto file = published("sdxl");
  if (!file) GTEST_SKIP();
  Shape& conv_in = (*file)["model.diffusion_model.input_blocks.0.0.weight"];
  conv_in[1] = 9;
  EXPECT_EQ(recognise_file(*file).name, "SDXL inpainting model (9 input channels)");
  conv_in[1] = 8;
  EXPECT_EQ(recognise_file(*file).name,
            "SDXL InstructPix2Pix or CosXL-edit model (8 input channels)");
  (*file)["edm_vpred.sigma_max"] = {};
  EXPECT_EQ(recognise_file(*file).name, "CosXL-edit (8 input channels)");
  conv_in[1] = 4;
  EXPECT_EQ(recognise_file(*file).name, "CosXL (continuous EDM v-prediction)");
  (*file)["edm_mean"] = {1, 4, 1, 1};
  EXPECT_EQ(recognise_file(*file).name, "Playground v2.5");
}

TEST(GoldenModelFamily, StableDiffusion2IsTold) {
  const auto file = published("sd15");
  if (!file) GTEST_SKIP();
  NamedShapes sd2 = *file;
  for (auto& [name, shape] : sd2) {
    if (name.find("attn2.to_k") != std::string::npos ||
        name.find("attn2.to_v") != std::string::npos)
      shape[1] = 1024;
    if (name.find(".proj_") != std::string::npos && shape.size() == 4) shape.resize(2);
  }
  EXPECT_EQ(recognise_file(sd2).name, "Stable Diffusion 2");
}

TEST(GoldenModelFamily, KoalaIsTold) {
  const TinyUNet koala{.channels = {320, 640, 1280},
                       .depth = {0, 2, 6},
                       .resnets = 1,
                       .mid_depth = 6,
                       .cross_width = 2048,
                       .added_width = 2816};
  EXPECT_EQ(recognise_tiny(koala).name, "KOALA");
}

TEST(ModelFamily, SmallModelsOfAnyWidthAndDepthAreRecognised) {
  EXPECT_EQ(recognise_tiny({}).family, Family::kSdxl);
  EXPECT_EQ(recognise_tiny({.channels = {64, 64, 128}, .depth = {1, 1, 3}, .resnets = 1}).family,
            Family::kSdxl);
  EXPECT_EQ(recognise_tiny({.channels = {64, 128}, .depth = {0, 1}, .cross_width = 128}).family,
            Family::kSdxl);
  EXPECT_EQ(recognise_tiny({.cross_width = 1024, .added_width = 2560}).family, Family::kSdxl);
  EXPECT_EQ(recognise_tiny({.mid_depth = 0}).family, Family::kVega);
  EXPECT_EQ(recognise_tiny({.added_width = 0, .has_linear_projection = false}).family,
            Family::kSd15);
  EXPECT_EQ(recognise_tiny({.cross_width = 96, .added_width = 0}).name, "Stable Diffusion 2");
}

TEST(ModelFamily, UnevenDepthsWithoutAMiddleTransformerAreSsd1b) {
  NamedShapes unet = testing::tiny_unet_shapes({.mid_depth = 0});
  std::erase_if(unet, [](const auto& item) {
    return item.first.starts_with("up_blocks.0.attentions.1.transformer_blocks.1.");
  });
  EXPECT_EQ(recognise_file(unet).family, Family::kSsd1b);
}

TEST(ModelFamily, OtherFilesAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"double_blocks.0.img_attn.qkv.weight", "Flux"},
      {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "Flux"},
      {"single_transformer_blocks.0.attn.to_q.weight", "Flux"},
      {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"},
      {"transformer_blocks.0.attn.add_k_proj.weight", "Stable Diffusion 3"},
      {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "LoRA"},
      {"unet.mid_block.attentions.0.proj_in.lora_A.weight", "LoRA"},
      {"double_blocks.0.img_attn.qkv.lora_A.weight", "LoRA"},
      {"mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight", "LoRA"},
      {"lora_unet_x.hada_w1_a", "LoRA"},
      {"decoder.conv_in.weight", "VAE without a UNet"},
      {"first_stage_model.decoder.conv_in.weight", "VAE without a UNet"},
      {"text_model.encoder.layers.0.self_attn.q_proj.weight", "text encoder without a UNet"},
      {"transformer.resblocks.0.attn.in_proj_weight", "text encoder without a UNet"},
      {"controlnet_cond_embedding.conv_in.weight", "ControlNet"},
      {"control_model.input_blocks.0.0.weight", "ControlNet"},
      {"ip_adapter.1.to_k_ip.weight", "IP-Adapter"},
      {"adapter.body.0.resnets.0.block1.weight", "T2I-Adapter"},
      {"decoder.layers.0.weight", "tiny VAE (TAESD)"},
      {"3.conv.0.weight", "tiny VAE (TAESD)"},
      {"emb_params", "textual inversion embedding"},
      {"lllite_unet_x.down.0.weight", "ControlNet-LLLite"},
      {"model.layers.0.self_attn.weight", "file of unknown content"}};
  for (const auto& [name, expected] : cases) {
    const Recognition got = recognise({{name, {4, 4}}}, {});
    EXPECT_EQ(got.name, expected) << name;
    EXPECT_FALSE(got.family) << name;
    EXPECT_FALSE(got.advice.empty()) << name;
  }
  EXPECT_EQ(recognise({}, {}).name, "file of unknown content");
}

TEST(ModelFamily, AControlNetIsNotTakenForAUNet) {
  NamedShapes control = testing::tiny_unet_shapes({});
  std::erase_if(control, [](const auto& item) { return item.first.starts_with("up_blocks."); });
  EXPECT_EQ(recognise_file(control).name, "part of a UNet");
  control["controlnet_cond_embedding.conv_in.weight"] = {16, 3, 3, 3};
  EXPECT_EQ(recognise_file(control).name, "ControlNet");
}

TEST(ModelFamily, FactsFollowTheShapes) {
  const UNetFacts facts =
      unet_facts(testing::tiny_unet_shapes({.channels = {32, 64, 96}, .depth = {0, 1, 3}}));
  EXPECT_EQ(facts.channels, (std::vector<int64_t>{32, 64, 96}));
  EXPECT_EQ(facts.down_depth, (std::vector<std::vector<int64_t>>{{0, 0}, {1, 1}, {3, 3}}));
  EXPECT_EQ(facts.up_depth, (std::vector<std::vector<int64_t>>{{3, 3, 3}, {1, 1, 1}, {0, 0, 0}}));
  EXPECT_EQ(facts.mid_resnets, 2);
  EXPECT_EQ(facts.mid_depth, 2);
  EXPECT_EQ(facts.cross_width, 48);
  EXPECT_EQ(facts.added_width, 112);
  EXPECT_EQ(facts.time_width, 128);
  EXPECT_TRUE(facts.has_linear_projection);
  EXPECT_EQ(unet_facts({}).in_channels, 0);
}

}  // namespace
}  // namespace fourstep
