#include "workbench/lora_layouts.h"

#include <gtest/gtest.h>

#include "loras.h"
#include "workbench/lora_styles.h"

namespace fourstep {
namespace {

using nlohmann::json;

/// Rows that end in a shape; names at `ldm` and `ours`; of the UNet alone.
struct Columns {
  size_t ldm = 0, ours = 1, shape = 2;
};

/// The layout has exactly the parameters of the list, in the same shapes, with the same ldm names.
void check_unet(const std::string& file, Family family, const Columns& columns) {
  const auto golden = testing::load_golden(file);
  if (!golden) GTEST_SKIP() << file;
  const LoraLayout layout = published_layout(family);
  const NamedShapes& shapes = layout.shapes.at(Component::kUnet);
  size_t count = 0;
  for (const json& row : (*golden)["rows"]) {
    if (columns.ours == 2 && row[1] != "unet") continue;
    const std::string name = row[columns.ours];
    const auto found = shapes.find(name);
    ASSERT_NE(found, shapes.end()) << name;
    EXPECT_EQ(found->second, row[columns.shape].get<Shape>()) << name;
    std::string ldm = row[columns.ldm];
    if (ldm.starts_with("model.diffusion_model.")) ldm = ldm.substr(22);
    EXPECT_EQ(layout.ldm_names.at(name), ldm);
    ++count;
  }
  EXPECT_EQ(count, shapes.size());
  testing::report_golden(file, count, 0);
}

TEST(GoldenLoraLayouts, SdxlsUNetIsTheListedOne) {
  check_unet("keys/sdxl.json", Family::kSdxl, {0, 2, 4});
}
TEST(GoldenLoraLayouts, Ssd1bsUNetIsTheListedOne) {
  check_unet("keys/ssd_1b.json", Family::kSsd1b, {0, 1, 2});
}
TEST(GoldenLoraLayouts, VegasUNetIsTheListedOne) {
  check_unet("keys/segmind_vega.json", Family::kVega, {0, 1, 2});
}
TEST(GoldenLoraLayouts, Sd15sUNetIsTheListedOne) {
  check_unet("keys/sd15.json", Family::kSd15, {0, 2, 4});
}

/// Every spelling of a module leads to it, and to it alone.
void check_names(const json& row, const ParameterId& id, const LoraTargets& targets) {
  for (const char* style : {"kohya", "kohya_ldm", "kohya_diffusers", "peft", "legacy_processor"}) {
    if (!row.contains(style) || row[style].is_null()) continue;
    const auto found = targets.find(row[style]);
    ASSERT_EQ(found.size(), 1u) << row[style];
    EXPECT_EQ(found[0].component, id.component);
    EXPECT_EQ(found[0].slices.at(0).module + ".weight", id.name);
  }
}

TEST(GoldenLoraLayouts, EveryModuleOfSdxlHasTheListedNamesInEachStyle) {
  const auto golden = testing::load_golden("sdxl_lora_names.json");
  if (!golden) GTEST_SKIP();
  const LoraTargets targets = make_targets(sdxl());
  const auto check = [&](const json& row, const ParameterId& id, const char* kohya) {
    EXPECT_EQ(sdxl().shapes.at(id.component).at(id.name), row["shape"].get<Shape>()) << id.name;
    EXPECT_EQ(module_key(LoraStyle::kKohya, id, sdxl()), row[kohya]);
    EXPECT_EQ(module_key(LoraStyle::kPeft, id, sdxl()), row["peft"]);
    EXPECT_EQ(module_key(LoraStyle::kDiffusers, id, sdxl()), row["peft"]);
    check_names(row, id, targets);
  };
  for (const json& row : (*golden)["unet"]) {
    const ParameterId id{Component::kUnet, row["module"].get<std::string>() + ".weight"};
    check(row, id, "kohya_diffusers");
    EXPECT_EQ(module_key(LoraStyle::kKohyaLdm, id, sdxl()), row["kohya_ldm"]);
  }
  for (const json& row : (*golden)["text_encoders"]) {
    const bool is_second = row["component"] == "text_encoder_2";
    const ParameterId id{is_second ? Component::kTextEncoder2 : Component::kTextEncoder,
                         row["module"].get<std::string>() + ".weight"};
    check(row, id, "kohya");
  }
  testing::report_golden("sdxl_lora_names.json",
                         (*golden)["unet"].size() + (*golden)["text_encoders"].size(), 0);
}

}  // namespace
}  // namespace fourstep
