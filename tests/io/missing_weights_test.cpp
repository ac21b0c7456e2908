#include "io/missing_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "key_tables.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> missing_without(Component component, NamedShapes shapes,
                                         const std::string& prefix) {
  std::erase_if(shapes, [&](const auto& item) { return item.first.starts_with(prefix); });
  return missing_weights(component, shapes);
}

/// The networks of a published model under diffusers names, from the key tables.
std::map<Component, NamedShapes> published_shapes(const std::string& file) {
  std::map<Component, NamedTensors> tensors;
  const auto table = testing::load_golden("keys/" + file);
  if (!table) return {};
  for (const testing::TableRow& row : testing::table_rows(*table))
    apply_row(row.row, testing::meta_tensors({{"x", row.shape}}).at("x"), tensors);
  std::map<Component, NamedShapes> shapes;
  for (const auto& [component, weights] : tensors) shapes[component] = shapes_of(weights);
  return shapes;
}

TEST(GoldenMissingWeights, PublishedModelsLackNothing) {
  size_t checked = 0;
  for (const char* file : {"sdxl.json", "sd15.json"}) {
    for (const auto& [component, shapes] : published_shapes(file)) {
      EXPECT_THAT(missing_weights(component, shapes), IsEmpty()) << file;
      ++checked;
    }
  }
  if (checked == 0) GTEST_SKIP() << "no key tables";
}

// Each weight in turn: what its neighbours show must be enough to miss it.
TEST(GoldenMissingWeights, AnySingleWeightOfSdxlIsMissed) {
  const auto model = published_shapes("sdxl.json");
  if (model.empty()) GTEST_SKIP() << "no sdxl.json";
  for (const auto& [component, shapes] : model) {
    NamedShapes damaged = shapes;
    for (const auto& [name, shape] : shapes) {
      damaged.erase(name);
      EXPECT_THAT(missing_weights(component, damaged), ElementsAre(name));
      damaged[name] = shape;
    }
  }
}

TEST(MissingWeights, SmallModelsLackNothing) {
  for (const Checkpoint& model : {testing::tiny_sdxl(), testing::tiny_sd15(),
                                  testing::tiny_sdxl({.depth = {0, 1}, .mid_depth = 0}),
                                  testing::tiny_sdxl({.depth = {1, 2}, .resnets = 1})}) {
    for (const auto& [component, tensors] : model.components)
      EXPECT_THAT(missing_weights(component, shapes_of(tensors)), IsEmpty());
  }
}

TEST(MissingWeights, WholeBlocksOfAUNetAreMissed) {
  const NamedShapes unet = testing::tiny_unet_shapes({});
  for (const char* block :
       {"down_blocks.0.", "down_blocks.1.", "mid_block.", "mid_block.attentions.", "up_blocks.0.",
        "up_blocks.1.", "up_blocks.0.resnets.2.", "up_blocks.0.attentions.",
        "down_blocks.1.attentions.0.transformer_blocks.0.", "time_embedding.", "conv_out.",
        "add_embedding.linear_2."}) {
    const auto missing = missing_without(Component::kUnet, unet, block);
    ASSERT_FALSE(missing.empty()) << block;
    EXPECT_TRUE(missing.front().starts_with(block)) << missing.front();
  }
}

TEST(MissingWeights, ADecoderAloneIsWholeWithAndWithoutItsConvolution) {
  const NamedShapes vae = testing::tiny_vae_shapes({16, 32}, 1);
  NamedShapes decoder;
  for (const auto& [name, shape] : vae)
    if (name.starts_with("decoder.")) decoder[name] = shape;
  EXPECT_THAT(missing_weights(Component::kVae, decoder), IsEmpty());
  EXPECT_TRUE(is_decoder_only(decoder));
  EXPECT_FALSE(is_decoder_only(vae));
  decoder["post_quant_conv.weight"] = {4, 4, 1, 1};
  EXPECT_THAT(missing_weights(Component::kVae, decoder), IsEmpty());
  EXPECT_THAT(missing_without(Component::kVae, vae, "quant_conv."), SizeIs(2));
  EXPECT_THAT(missing_without(Component::kVae, vae, "post_quant_conv."), SizeIs(2));
  EXPECT_THAT(missing_without(Component::kVae, decoder, "decoder.up_blocks.0.resnets.1.norm1.bias"),
              ElementsAre("decoder.up_blocks.0.resnets.1.norm1.bias"));
}

TEST(MissingWeights, HalfATextEncoderOfAPublishedWidthIsMissed) {
  const NamedShapes whole = testing::tiny_text_shapes(12, 768, false);
  EXPECT_THAT(missing_weights(Component::kTextEncoder, whole), IsEmpty());
  EXPECT_THAT(missing_without(Component::kTextEncoder, whole, "text_model.encoder.layers.1"),
              SizeIs(3 * 16));  // 1, 10 and 11
  EXPECT_THAT(
      missing_without(Component::kTextEncoder, whole, "text_model.final_layer_norm."),
      ElementsAre("text_model.final_layer_norm.weight", "text_model.final_layer_norm.bias"));
  EXPECT_THAT(missing_weights(Component::kTextEncoder2, testing::tiny_text_shapes(2, 32, false)),
              ElementsAre("text_projection.weight"));
}

TEST(MissingWeights, HostileNumbersMakeNoEndlessList) {
  const NamedShapes shapes = {{"down_blocks.99999999999.resnets.0.conv1.weight", {1}},
                              {"down_blocks.900000000.resnets.0.conv1.weight", {1}}};
  EXPECT_LT(missing_weights(Component::kUnet, shapes).size(), 100000U);
}

}  // namespace
}  // namespace fourstep
