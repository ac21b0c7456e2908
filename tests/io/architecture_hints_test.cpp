#include "io/architecture_hints.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) : path(folder_.path() / "config.json") {
    std::ofstream(path) << text;
  }

 private:
  testing::TemporaryFolder folder_;

 public:
  std::filesystem::path path;
};

ArchitectureHints hints_of(Component component, const std::string& text) {
  const ConfigFile file(text);
  ArchitectureHints hints;
  add_config_hints(component, file.path, hints);
  return hints;
}

TEST(ArchitectureHints, HeadsComePerLevelOrOnceForAll) {
  EXPECT_EQ(hints_of(Component::kUnet, R"({"attention_head_dim":[5,10,20]})").unet_heads,
            (std::vector<int64_t>{5, 10, 20}));
  EXPECT_EQ(hints_of(Component::kUnet, R"({"attention_head_dim":8,"block_out_channels":[1,2,3]})")
                .unet_heads,
            (std::vector<int64_t>{8, 8, 8}));
  EXPECT_TRUE(hints_of(Component::kUnet, "{}").unet_heads.empty());
}

TEST(ArchitectureHints, EachComponentFillsItsOwnFields) {
  const auto vae = hints_of(Component::kVae, R"({"scaling_factor":0.13025,"force_upcast":false})");
  EXPECT_DOUBLE_EQ(vae.vae_scaling_factor, 0.13025);
  EXPECT_EQ(vae.vae_force_upcast, false);
  const auto text =
      hints_of(Component::kTextEncoder2, R"({"num_attention_heads":4,"hidden_act":"gelu"})");
  EXPECT_EQ(text.text_heads_2, 4);
  EXPECT_EQ(text.text_activation_2, "gelu");
  EXPECT_EQ(text.text_heads, 0);
}

TEST(ArchitectureHints, OtherGroupNormsThanOfThirtyTwoGroupsAreRefused) {
  for (const Component component : {Component::kUnet, Component::kVae}) {
    EXPECT_NO_THROW(hints_of(component, R"({"norm_num_groups":32})"));
    EXPECT_NO_THROW(hints_of(component, R"({"norm_num_groups":null})"));
    const std::string message =
        testing::message_of<Error>([&] { hints_of(component, R"({"norm_num_groups":8})"); });
    EXPECT_NE(message.find("config.json"), std::string::npos) << message;
    EXPECT_NE(message.find("\"norm_num_groups\" is 8"), std::string::npos) << message;
  }
}

TEST(ArchitectureHints, AnAbsentConfigSaysNothingAndADamagedOneIsNamed) {
  ArchitectureHints hints;
  add_config_hints(Component::kVae, "/nonexistent/config.json", hints);
  EXPECT_EQ(hints, ArchitectureHints());
  EXPECT_THROW(hints_of(Component::kVae, "{\"scaling_factor\": "), Error);
  EXPECT_THROW(hints_of(Component::kVae, "[1]"), Error);
  EXPECT_THROW(hints_of(Component::kVae, R"({"scaling_factor":"x"})"), Error);
  EXPECT_THROW(hints_of(Component::kUnet, R"({"attention_head_dim":"x"})"), Error);
}

TEST(ArchitectureHints, MetadataCarriesAllFieldsThereAndBack) {
  const ArchitectureHints hints{.unet_heads = {1, 2, 4},
                                .text_heads = 2,
                                .text_heads_2 = 3,
                                .text_activation = "quick_gelu",
                                .text_activation_2 = "gelu",
                                .vae_scaling_factor = 0.18215,
                                .vae_force_upcast = false};
  const auto metadata = metadata_from_hints(hints);
  EXPECT_EQ(metadata.at("fourstep.unet_heads"), "1,2,4");
  EXPECT_EQ(hints_from_metadata(metadata), hints);
  EXPECT_TRUE(metadata_from_hints({}).empty());
}

TEST(ArchitectureHints, MetadataThatDoesNotParseIsAbsent) {
  for (const std::string text : {"", "5,", "5,,2", "a", "5;10", "-3", "0", "99999999999999999999"})
    EXPECT_TRUE(hints_from_metadata({{"fourstep.unet_heads", text}}).unet_heads.empty()) << text;
  EXPECT_EQ(hints_from_metadata({{"fourstep.vae_scaling_factor", "nan"}}), ArchitectureHints());
  EXPECT_EQ(hints_from_metadata({{"fourstep.vae_force_upcast", "maybe"}}), ArchitectureHints());
}

}  // namespace
}  // namespace fourstep
