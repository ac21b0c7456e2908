#include "io/key_names.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "key_tables.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

using testing::load_golden;
using testing::table_rows;
using testing::TableRow;

std::map<std::string, KeyRow> by_key(const KeyTable& table) {
  std::map<std::string, KeyRow> rows;
  for (const KeyRow& row : table.rows) rows[row.key] = row;
  return rows;
}

void expect_row(const std::map<std::string, KeyRow>& rows, const KeyRow& expected) {
  const auto got = rows.find(expected.key);
  ASSERT_NE(got, rows.end()) << expected.key;
  EXPECT_EQ(got->second.component, expected.component) << expected.key;
  EXPECT_EQ(got->second.targets, expected.targets) << expected.key;
  EXPECT_EQ(got->second.op, expected.op) << expected.key;
}

void check_table(const std::string& file) {
  const auto golden = load_golden(file);
  if (!golden) GTEST_SKIP() << file;
  const std::vector<TableRow> expected = table_rows(*golden);
  ASSERT_FALSE(expected.empty());
  const KeyTable table = key_table(testing::file_shapes(expected));
  EXPECT_TRUE(table.unknown.empty());
  EXPECT_TRUE(table.ignored.empty());
  EXPECT_EQ(table.rows.size(), expected.size());
  const auto rows = by_key(table);
  for (const TableRow& row : expected) expect_row(rows, row.row);
  testing::report_golden(file, expected.size(), 0);
}

TEST(GoldenKeyNames, EveryKeyOfTheSdxlFileHasItsTargetAndOperation) {
  check_table("keys/sdxl.json");
}
TEST(GoldenKeyNames, EveryKeyOfTheSd15FileHasItsTargetAndOperation) {
  check_table("keys/sd15.json");
}

TEST(GoldenKeyNames, ExtrasOfTheSd15FileAreIgnoredByName) {
  const auto golden = load_golden("keys/sd15.json");
  if (!golden) GTEST_SKIP();
  NamedShapes file = testing::file_shapes(table_rows(*golden));
  const size_t core = file.size();
  for (const auto& [name, shape] : (*golden)["extras"].items()) file[name] = shape.get<Shape>();
  const KeyTable table = key_table(file);
  EXPECT_EQ(table.rows.size(), core);
  EXPECT_EQ(table.ignored.size(), file.size() - core);
  EXPECT_TRUE(table.unknown.empty());
}

void check_unet_table(const std::string& file) {
  const auto golden = load_golden(file);
  if (!golden) GTEST_SKIP() << file;
  for (const std::string prefix : {"model.diffusion_model.", "diffusion_model.", ""}) {
    const auto rows = by_key(key_table(testing::unet_column(*golden, 0, prefix)));
    ASSERT_EQ(rows.size(), (*golden)["rows"].size());
    for (const auto& item : (*golden)["rows"])
      expect_row(rows,
                 {prefix + item[0].get<std::string>(), Component::kUnet, {item[1]}, KeyOp::kCopy});
  }
  testing::report_golden(file, (*golden)["rows"].size(), 0);
}

TEST(GoldenKeyNames, EveryKeyOfTheSsd1bUNetHasItsTarget) { check_unet_table("keys/ssd_1b.json"); }
TEST(GoldenKeyNames, EveryKeyOfTheVegaUNetHasItsTarget) {
  check_unet_table("keys/segmind_vega.json");
}

TEST(GoldenKeyNames, SdxlComponentsHaveThePublishedTensorAndParameterCounts) {
  const auto golden = load_golden("keys/sdxl.json"), counts = load_golden("keys/counts.json");
  if (!golden || !counts) GTEST_SKIP();
  const NamedTensors file = testing::meta_tensors(testing::file_shapes(table_rows(*golden)));
  std::map<Component, NamedTensors> components;
  apply_rows(key_table(shapes_of(file)).rows, file, components);
  const auto& checks = (*counts)["checks"];
  EXPECT_EQ(components[Component::kUnet].size(), checks["SDXL UNet tensors (diffusers)"]);
  EXPECT_EQ(components[Component::kVae].size(), 248u);
  EXPECT_EQ(components[Component::kTextEncoder].size(), 196u);
  EXPECT_EQ(components[Component::kTextEncoder2].size(), 517u);
  using testing::parameters_of;
  EXPECT_EQ(parameters_of(components[Component::kUnet]),
            checks["SDXL UNet parameters (diffusers)"]);
  EXPECT_EQ(parameters_of(components[Component::kVae]), checks["VAE parameters"]);
  EXPECT_EQ(parameters_of(components[Component::kTextEncoder]), checks["CLIP-L parameters"]);
  EXPECT_EQ(parameters_of(components[Component::kTextEncoder2]),
            checks["bigG parameters (with projection)"]);
}

TEST(GoldenKeyNames, VariantUNetsHaveThePublishedTensorAndParameterCounts) {
  const auto counts = load_golden("keys/counts.json");
  if (!counts) GTEST_SKIP();
  for (const std::string name : {"ssd_1b", "segmind_vega"}) {
    const auto golden = load_golden("keys/" + name + ".json");
    if (!golden) continue;
    const NamedTensors file = testing::meta_tensors(testing::unet_column(*golden, 0));
    std::map<Component, NamedTensors> components;
    apply_rows(key_table(shapes_of(file)).rows, file, components);
    EXPECT_EQ(components[Component::kUnet].size(), (*counts)["unets"][name]["unet_tensors"]);
    EXPECT_EQ(testing::parameters_of(components[Component::kUnet]),
              (*counts)["unets"][name]["unet_params"]);
  }
}

NamedTensors mapped(const std::string& key, const Tensor& tensor, const KeyRow& row) {
  std::map<Component, NamedTensors> components;
  apply_row(row, tensor, components);
  return components[row.component];
}

TEST(KeyNames, OperationsGiveViewsOfTheTensor) {
  const Tensor tensor = torch::arange(24, torch::kFloat);
  const Component c = Component::kVae;
  const auto squeezed = mapped("k", tensor.view({6, 4, 1, 1}), {"k", c, {"a"}, KeyOp::kSqueeze1x1});
  EXPECT_EQ(shape_of(squeezed.at("a")), Shape({6, 4}));
  const auto turned = mapped("k", tensor.view({6, 4}), {"k", c, {"a"}, KeyOp::kTranspose});
  EXPECT_EQ(turned.at("a")[1][2].item<float>(), 9);
  const auto parts = mapped("k", tensor.view({6, 4}), {"k", c, {"q", "k", "v"}, KeyOp::kSplit3});
  EXPECT_EQ(parts.at("k")[0][0].item<float>(), 8);
  EXPECT_EQ(shape_of(parts.at("v")), Shape({2, 4}));
  for (const auto& named : {squeezed, turned, parts})
    for (const auto& [name, view] : named)
      EXPECT_EQ(view.storage().data(), tensor.storage().data());
}

TEST(KeyNames, AnImpossibleShapeIsNamedWithItsKey) {
  const KeyRow split{
      "te.in_proj_weight", Component::kTextEncoder2, {"q", "k", "v"}, KeyOp::kSplit3};
  try {
    mapped("", torch::zeros({4, 2}), split);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("te.in_proj_weight"), std::string::npos);
  }
  const KeyRow squeeze{"vae.q", Component::kVae, {"q"}, KeyOp::kSqueeze1x1};
  EXPECT_THROW(mapped("", torch::zeros({4, 4, 3, 3}), squeeze), Error);
}

TEST(KeyNames, TextEncodersWithoutTheirOuterNameAreAccepted) {
  const NamedShapes text = {{"embeddings.token_embedding.weight", {8, 4}},
                            {"embeddings.position_ids", {1, 77}},
                            {"encoder.layers.0.mlp.fc1.bias", {4}}};
  const KeyTable table = component_key_table(Component::kTextEncoder, text);
  const auto rows = by_key(table);
  EXPECT_EQ(rows.at("encoder.layers.0.mlp.fc1.bias").targets.at(0),
            "text_model.encoder.layers.0.mlp.fc1.bias");
  EXPECT_EQ(rows.at("embeddings.position_ids").op, KeyOp::kDrop);
  EXPECT_TRUE(table.unknown.empty());
}

TEST(KeyNames, BigGUnderTransformersNamesInASingleFileKeepsItsProjection) {
  const std::string prefix = "conditioner.embedders.1.transformer.";
  const KeyTable table = key_table({{prefix + "text_model.final_layer_norm.bias", {4}},
                                    {prefix + "text_projection.weight", {4, 4}},
                                    {"conditioner.embedders.1.logit_scale", {}}});
  const auto rows = by_key(table);
  EXPECT_EQ(rows.at(prefix + "text_projection.weight").op, KeyOp::kCopy);
  EXPECT_EQ(rows.at(prefix + "text_model.final_layer_norm.bias").component,
            Component::kTextEncoder2);
  EXPECT_EQ(rows.at("conditioner.embedders.1.logit_scale").op, KeyOp::kDrop);
}

TEST(KeyNames, OldDiffusersAttentionOfTheVaeIsRenamed) {
  const std::string attention = "decoder.mid_block.attentions.0.";
  const KeyTable table =
      component_key_table(Component::kVae, {{attention + "query.weight", {4, 4}},
                                            {attention + "key.bias", {4}},
                                            {attention + "value.weight", {4, 4, 1, 1}},
                                            {attention + "proj_attn.weight", {4, 4}}});
  const auto rows = by_key(table);
  EXPECT_EQ(rows.at(attention + "query.weight").targets.at(0), attention + "to_q.weight");
  EXPECT_EQ(rows.at(attention + "key.bias").targets.at(0), attention + "to_k.bias");
  EXPECT_EQ(rows.at(attention + "value.weight").op, KeyOp::kSqueeze1x1);
  EXPECT_EQ(rows.at(attention + "proj_attn.weight").targets.at(0), attention + "to_out.0.weight");
}

TEST(KeyNames, EmaCopiesAndMarkersAreIgnoredAndTheRestIsUnknown) {
  const KeyTable table = key_table({{"model_ema.diffusion_modelinput_blocks00weight", {4, 4, 3, 3}},
                                    {"v_pred", {0}},
                                    {"ztsnr", {0}},
                                    {"alphas_cumprod", {1000}},
                                    {"something.else.weight", {2, 2}}});
  EXPECT_TRUE(table.rows.empty());
  EXPECT_EQ(table.ignored.size(), 4u);
  EXPECT_EQ(table.unknown, std::vector<std::string>{"something.else.weight"});
}

TEST(KeyNames, ASecondClaimOnATargetIsUnknown) {
  const std::string prefix = "conditioner.embedders.1.model.";
  const KeyTable table = key_table(
      {{prefix + "text_projection", {4, 4}}, {prefix + "text_projection.weight", {4, 4}}});
  EXPECT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.unknown.size(), 1u);
}

}  // namespace
}  // namespace fourstep
