#include "nets/unet_config.h"

#include "base/error.h"
#include "nets/unet.h"
#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;
using Depths = std::vector<int64_t>;

/// Shapes of a published model; empty when the golden folder has no table.
NamedShapes published(const std::string& part, const std::string& model) {
  const auto golden = load_golden("nets_shapes.json");
  return golden ? golden->at(part).at(model).get<NamedShapes>() : NamedShapes{};
}

void expect_level(const UNetLevel& level, int64_t heads, const Depths& down, const Depths& up) {
  EXPECT_EQ(level.heads, heads);
  EXPECT_EQ(level.down_depth, down);
  EXPECT_EQ(level.up_depth, up);
}

TEST(GoldenUNetConfig, ReadsSdxl) {
  const NamedShapes shapes = published("unet", "SDXL");
  if (shapes.empty()) GTEST_SKIP() << "no nets_shapes.json";
  const UNetConfig config = unet_config_from_shapes(shapes, {}, "sdxl");
  ASSERT_EQ(config.levels.size(), 3u);
  expect_level(config.levels[0], 5, {0, 0}, {0, 0, 0});
  expect_level(config.levels[1], 10, {2, 2}, {2, 2, 2});
  expect_level(config.levels[2], 20, {10, 10}, {10, 10, 10});
  EXPECT_EQ(config.levels[2].channels, 1280);
  EXPECT_EQ(config.mid_depth, 10);
  EXPECT_EQ(config.cross_width, 2048);
  EXPECT_EQ(config.added_width, 2816);
  EXPECT_EQ(config.time_width, 1280);
  EXPECT_TRUE(config.has_linear_projection);
}

TEST(GoldenUNetConfig, ReadsTheDistilledRelatives) {
  const NamedShapes ssd = published("unet", "SSD-1B");
  if (ssd.empty()) GTEST_SKIP() << "no nets_shapes.json";
  const UNetConfig small = unet_config_from_shapes(ssd, {}, "ssd");
  ASSERT_EQ(small.levels.size(), 3u);
  expect_level(small.levels[1], 10, {2, 2}, {2, 1, 1});
  expect_level(small.levels[2], 20, {4, 4}, {4, 4, 10});
  EXPECT_TRUE(small.has_mid_block);
  EXPECT_EQ(small.mid_depth, 0);
  const UNetConfig vega = unet_config_from_shapes(published("unet", "Segmind-Vega"), {}, "vega");
  ASSERT_EQ(vega.levels.size(), 3u);
  expect_level(vega.levels[1], 10, {1, 1}, {1, 1, 1});
  expect_level(vega.levels[2], 20, {2, 2}, {2, 2, 2});
  EXPECT_TRUE(vega.has_mid_block);
  EXPECT_EQ(vega.mid_depth, 0);
}

TEST(GoldenUNetConfig, ReadsSd15) {
  const NamedShapes shapes = published("unet", "SD 1.5");
  if (shapes.empty()) GTEST_SKIP() << "no nets_shapes.json";
  const UNetConfig config = unet_config_from_shapes(shapes, {}, "sd15");
  ASSERT_EQ(config.levels.size(), 4u);
  expect_level(config.levels[0], 8, {1, 1}, {1, 1, 1});
  expect_level(config.levels[3], 8, {0, 0}, {0, 0, 0});
  EXPECT_EQ(config.mid_depth, 1);
  EXPECT_EQ(config.added_width, 0);
  EXPECT_EQ(config.cross_width, 768);
  EXPECT_FALSE(config.has_linear_projection);
}

TEST(GoldenUNetConfig, ReadsSd15SavedWithLinearProjections) {
  NamedShapes shapes = published("unet", "SD 1.5");
  if (shapes.empty()) GTEST_SKIP() << "no nets_shapes.json";
  for (auto& [name, shape] : shapes) {
    const bool is_projection =
        name.ends_with("proj_in.weight") || name.ends_with("proj_out.weight");
    if (is_projection) shape.resize(2);
  }
  const UNetConfig config = unet_config_from_shapes(shapes, {}, "sd15");
  EXPECT_TRUE(config.has_linear_projection);
  for (const UNetLevel& level : config.levels) EXPECT_EQ(level.heads, 8);
}

TEST(GoldenUNetConfig, HeadsOfTheSourceWin) {
  const NamedShapes shapes = published("unet", "SDXL");
  if (shapes.empty()) GTEST_SKIP() << "no nets_shapes.json";
  EXPECT_EQ(unet_config_from_shapes(shapes, {4, 8, 16}, "x").levels[2].heads, 16);
  EXPECT_EQ(unet_config_from_shapes(shapes, {8}, "x").levels[2].heads, 8);
  EXPECT_THROW(unet_config_from_shapes(shapes, {8, 8}, "x"), Error);
  EXPECT_THROW(unet_config_from_shapes(shapes, {5, 10, 3}, "x"), Error);
  EXPECT_THROW(unet_config_from_shapes(shapes, {5, 10, 0}, "x"), Error);
}

struct Damage {
  std::string name;            ///< of the weight to change
  std::optional<Shape> shape;  ///< new shape; none: removed
  std::string message;
};

TEST(GoldenUNetConfig, ErrorsNameTheFirstWeightThatDoesNotFit) {
  const NamedShapes shapes = published("unet", "SD 1.5");
  if (shapes.empty()) GTEST_SKIP() << "no nets_shapes.json";
  const std::string resnet = "down_blocks.1.resnets.0.";
  const std::vector<Damage> damages = {
      {"conv_in.weight", {}, "\"conv_in.weight\" is missing"},
      {"conv_in.weight", Shape{320, 4}, "\"conv_in.weight\": shape [320,4], expected rank 4"},
      {resnet + "norm2.bias", {}, "\"down_blocks.1.resnets.0.norm2.bias\" is missing"},
      {resnet + "conv2.weight", Shape{640, 320, 3, 3},
       "conv2.weight\": shape [640,320,3,3], expected [640,640,3,3]"},
      {"down_blocks.0.resnets.0.conv1.weight", Shape{330, 320, 3, 3},
       "width 330 is not a multiple of the 32"},
      {"up_blocks.0.resnets.2.conv1.weight", {}, "up_blocks.0 has 2 resnets, expected 3"},
      {"down_blocks.0.resnets.0.conv1.weight",
       {},
       "\"down_blocks.0.resnets.0.conv1.weight\" is missing"},
      {"controlnet.weight", Shape{1}, "\"controlnet.weight\" is not part of this layout"}};
  for (const Damage& damage : damages) {
    NamedShapes damaged = shapes;
    damaged.erase(damage.name);
    if (damage.shape) damaged[damage.name] = *damage.shape;
    try {
      unet_config_from_shapes(damaged, {}, "x.safetensors: unet");
      ADD_FAILURE() << "no error for " << damage.name;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::StartsWith("x.safetensors: unet: "));
      EXPECT_THAT(error.what(), ::testing::HasSubstr(damage.message));
    }
  }
}

TEST(UNetConfig, HeadsThatCannotBeToldAreAskedFor) {
  UNetConfig config;
  config.levels = {{.channels = 32, .heads = 1, .down_depth = {1}, .up_depth = {1, 1}},
                   {.channels = 96, .heads = 3, .down_depth = {1}, .up_depth = {1, 1}}};
  const NamedShapes shapes = shapes_of_module(*UNet(config));
  EXPECT_THROW(unet_config_from_shapes(shapes, {}, "x"), Error);
  EXPECT_EQ(unet_config_from_shapes(shapes, {1, 3}, "x").levels[1].heads, 3);
}

TEST(UNetConfig, AnEmptyTableIsRefused) {
  EXPECT_THROW(unet_config_from_shapes({}, {}, "x"), Error);
}

}  // namespace
}  // namespace fourstep
