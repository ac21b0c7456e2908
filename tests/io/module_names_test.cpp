#include "io/module_names.h"

#include <gtest/gtest.h>

#include "key_tables.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

/// The table of a case from both sides: they must agree.
ModuleNames modules_of(bool is_unet, const NamedShapes& ldm, const NamedShapes& diffusers) {
  const ModuleNames from_ldm =
      is_unet ? unet_modules(unet_layout_from_ldm(ldm)) : vae_modules(vae_layout_from_ldm(ldm));
  const ModuleNames from_diffusers = is_unet ? unet_modules(unet_layout_from_diffusers(diffusers))
                                             : vae_modules(vae_layout_from_diffusers(diffusers));
  EXPECT_EQ(from_ldm, from_diffusers);
  return from_ldm;
}

TEST(GoldenModuleNames, SmallNetworksMadeByDiffusersAreRenamedAsDiffusersDoes) {
  const auto golden = testing::load_golden("keys/tiny.json");
  if (!golden) GTEST_SKIP();
  for (const auto& item : (*golden)["cases"]) {
    SCOPED_TRACE(item["name"].get<std::string>());
    const ModuleNames names = modules_of(item["component"] == "unet", testing::unet_column(item, 0),
                                         testing::unet_column(item, 1));
    const ModuleNames back = inverted(names);
    for (const auto& row : item["rows"]) {
      EXPECT_EQ(renamed(names, row[0]), row[1].get<std::string>());
      EXPECT_EQ(renamed(back, row[1]), row[0].get<std::string>());
    }
  }
  const size_t checked = (*golden)["cases"].size();
  testing::report_golden("keys/tiny.json", checked, 0);
}

TEST(ModuleNames, TheLongestListedPrefixIsReplaced) {
  const ModuleNames names = {{"a.b", "x"}, {"a.b.c", "y"}};
  EXPECT_EQ(renamed(names, "a.b.c.weight"), "y.weight");
  EXPECT_EQ(renamed(names, "a.b.d"), "x.d");
  EXPECT_EQ(renamed(names, "a.b"), "x");
  EXPECT_EQ(renamed(names, "a.bc.d"), std::nullopt);
  EXPECT_EQ(renamed(names, ""), std::nullopt);
}

TEST(ModuleNames, NumberedNamesAreCountedFromZeroWithoutGaps) {
  const NamedShapes shapes = {{"b.0.x", {}}, {"b.1.x", {}}, {"b.10.x", {}}, {"b.3.x", {}}};
  EXPECT_EQ(count_numbered(shapes, "b."), 2);
  EXPECT_EQ(count_numbered(shapes, "c."), 0);
}

TEST(ModuleNames, BlockNumbersFollowTheResamplersNotAFixedPeriod) {
  // Three resnets per level: the first downsampler is input block 4, the first upsampler in output
  // block 3.
  testing::TinyUNet unet{.channels = {32, 32, 64}, .depth = {1, 0, 2}, .resnets = 3};
  const ModuleNames names =
      unet_modules(unet_layout_from_diffusers(testing::tiny_unet_shapes(unet)));
  EXPECT_EQ(names.at("input_blocks.4.0.op"), "down_blocks.0.downsamplers.0.conv");
  EXPECT_EQ(names.at("input_blocks.9.1"), "down_blocks.2.attentions.0");
  EXPECT_EQ(names.at("output_blocks.3.2"), "up_blocks.0.upsamplers.0");
  EXPECT_EQ(names.at("output_blocks.7.1"), "up_blocks.1.upsamplers.0")
      << "no attention at this level";
  EXPECT_EQ(names.at("input_blocks.1.1"), "down_blocks.0.attentions.0");
}

TEST(ModuleNames, TheLayoutIsTheSameReadFromEitherSide) {
  for (const testing::TinyUNet& unet :
       {testing::TinyUNet{}, testing::TinyUNet{.channels = {32}, .depth = {1}, .resnets = 1},
        testing::TinyUNet{
            .channels = {32, 64, 64, 96}, .depth = {1, 2, 0, 3}, .resnets = 1, .mid_depth = 0}}) {
    const NamedShapes diffusers = testing::tiny_unet_shapes(unet);
    const ModuleNames names = unet_modules(unet_layout_from_diffusers(diffusers));
    const ModuleNames back = inverted(names);
    NamedShapes ldm;
    for (const auto& [name, shape] : diffusers) ldm[renamed(back, name).value_or("?")] = shape;
    EXPECT_EQ(ldm.size(), diffusers.size());
    EXPECT_EQ(unet_modules(unet_layout_from_ldm(ldm)), names);
  }
}

TEST(ModuleNames, TheVaeDecoderCountsItsLevelsBackwards) {
  const NamedShapes vae = testing::tiny_vae_shapes({16, 32, 32}, 2);
  const ModuleNames names = vae_modules(vae_layout_from_diffusers(vae));
  EXPECT_EQ(names.at("decoder.up.2.block.0"), "decoder.up_blocks.0.resnets.0");
  EXPECT_EQ(names.at("decoder.up.0.block.2"), "decoder.up_blocks.2.resnets.2");
  EXPECT_EQ(names.at("encoder.down.1.block.1.nin_shortcut"),
            "encoder.down_blocks.1.resnets.1.conv_shortcut");
}

}  // namespace
}  // namespace fourstep
