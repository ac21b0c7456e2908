#include "io/single_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "key_tables.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

using testing::load_golden;

/// The shapes that the mapped components of a published table have.
std::map<Component, NamedShapes> mapped_shapes(const NamedShapes& file) {
  const NamedTensors tensors = testing::meta_tensors(file);
  std::map<Component, NamedTensors> components;
  apply_rows(key_table(file).rows, tensors, components);
  std::map<Component, NamedShapes> shapes;
  for (const auto& [component, named] : components) shapes[component] = shapes_of(named);
  return shapes;
}

void check_way_back(const std::string& file, Family family) {
  const auto golden = load_golden(file);
  if (!golden) GTEST_SKIP() << file;
  const auto expected = testing::table_rows(*golden);
  std::map<std::string, KeyRow> rows;
  for (const KeyRow& row : single_file_rows(mapped_shapes(testing::file_shapes(expected)), family))
    rows[row.key] = row;
  size_t checked = 0;
  for (const auto& [row, shape] : expected) {
    if (row.op == KeyOp::kDrop) continue;
    ASSERT_TRUE(rows.count(row.key)) << row.key;
    EXPECT_EQ(rows[row.key].targets, row.targets) << row.key;
    EXPECT_EQ(rows[row.key].op, row.op) << row.key;
    ++checked;
  }
  EXPECT_EQ(rows.size(), checked);
  testing::report_golden(file, checked, 0);
}

TEST(GoldenSingleFile, SdxlParametersLeadBackToTheirKeys) {
  check_way_back("keys/sdxl.json", Family::kSdxl);
}
TEST(GoldenSingleFile, Sd15ParametersLeadBackToTheirKeys) {
  check_way_back("keys/sd15.json", Family::kSd15);
}

TEST(GoldenSingleFile, LdmNamesOfVariantUNetsAreThePublishedOnes) {
  for (const std::string file : {"keys/ssd_1b.json", "keys/segmind_vega.json"}) {
    const auto golden = load_golden(file);
    if (!golden) GTEST_SKIP() << file;
    const auto names = ldm_unet_names(testing::unet_column(*golden, 1));
    EXPECT_EQ(names.size(), (*golden)["rows"].size());
    for (const auto& row : (*golden)["rows"]) EXPECT_EQ(names.at(row[1]), row[0]);
  }
}

void expect_same_components(const Checkpoint& got, const Checkpoint& expected) {
  ASSERT_EQ(got.components.size(), expected.components.size());
  for (const auto& [component, tensors] : expected.components)
    EXPECT_TRUE(testing::equal_tensors(got.components.at(component), tensors))
        << to_string(component);
}

TEST(SingleFile, ThereAndBackGivesTheSameTensors) {
  for (const testing::TinyUNet& unet :
       {testing::TinyUNet{},
        testing::TinyUNet{.channels = {32, 64, 64}, .depth = {1, 0, 3}, .resnets = 1},
        testing::TinyUNet{.channels = {32, 32}, .depth = {0, 1}, .resnets = 3}}) {
    const Checkpoint model = testing::tiny_sdxl(unet);
    const ModelSource source = model_source_of(single_file_of(model));
    EXPECT_EQ(source.recognition.family, Family::kSdxl);
    EXPECT_TRUE(source.unknown_keys.empty());
    expect_same_components(source.checkpoint, model);
  }
}

TEST(SingleFile, Sd15GoesThereAndBack) {
  const Checkpoint model = testing::tiny_sd15();
  const TensorFile file = single_file_of(model);
  EXPECT_TRUE(file.tensors.count("cond_stage_model.transformer.text_model.final_layer_norm.bias"));
  EXPECT_TRUE(file.tensors.count("model.diffusion_model.output_blocks.2.1.conv.weight"));
  const ModelSource source = model_source_of(file);
  EXPECT_EQ(source.recognition.family, Family::kSd15);
  expect_same_components(source.checkpoint, model);
}

TEST(SingleFile, TheProjectionOfBigGIsTransposedAndItsAttentionFused) {
  const Checkpoint model = testing::tiny_sdxl();
  const NamedTensors file = single_file_of(model).tensors;
  const NamedTensors& text = model.components.at(Component::kTextEncoder2);
  const std::string prefix = "conditioner.embedders.1.model.";
  EXPECT_TRUE(
      torch::equal(file.at(prefix + "text_projection").t(), text.at("text_projection.weight")));
  const Tensor fused = file.at(prefix + "transformer.resblocks.1.attn.in_proj_weight");
  EXPECT_EQ(fused.size(0), 3 * 32);
  EXPECT_TRUE(torch::equal(fused.narrow(0, 64, 32),
                           text.at("text_model.encoder.layers.1.self_attn.v_proj.weight")));
  EXPECT_NEAR(file.at(prefix + "logit_scale").item<double>(), 4.6052, 1e-4);
  EXPECT_EQ(file.at("first_stage_model.decoder.mid.attn_1.q.weight").dim(), 4);
}

TEST(SingleFile, PredictionHintsAndVocabularyTravelWithTheFile) {
  Checkpoint model = testing::tiny_sdxl();
  model.prediction = Prediction::kV;
  model.zero_terminal_snr = true;
  model.hints.unet_heads = {2, 4};
  model.merges_text = "#version\na b\n";
  const Checkpoint back = model_source_of(single_file_of(model)).checkpoint;
  EXPECT_EQ(back.prediction, Prediction::kV);
  EXPECT_TRUE(back.zero_terminal_snr);
  EXPECT_EQ(back.hints, model.hints);
  EXPECT_EQ(back.merges_text, model.merges_text);
}

TEST(SingleFile, AParameterOutsideTheLayoutIsNamed) {
  try {
    single_file_rows({{Component::kUnet, {{"mid_block.gate", {1}}}}}, Family::kSdxl);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("mid_block.gate"), std::string::npos);
  }
}

TEST(SingleFile, APartMissingFromAFusedWeightIsNamed) {
  Checkpoint model = testing::tiny_sdxl();
  model.components[Component::kTextEncoder2].erase(
      "text_model.encoder.layers.0.self_attn.k_proj.bias");
  EXPECT_THROW(single_file_of(model), Error);
}

}  // namespace
}  // namespace fourstep
