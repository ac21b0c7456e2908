#include "io/peft_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

TEST(PeftConfig, ScalingIsAlphaOverRank) {
  const PeftConfig config = parse_peft_config(R"({"r": 4, "lora_alpha": 3})", "test");
  EXPECT_DOUBLE_EQ(peft_scaling(config, "x", 4), 0.75);
  EXPECT_DOUBLE_EQ(peft_scaling(config, "x", 8), 3.0 / 8) << "the tensors' rank counts";
  EXPECT_DOUBLE_EQ(peft_scaling(config, "x", 0), 0.75)
      << "the configured rank where tensors cannot tell";
}

TEST(PeftConfig, RankStabilisedScalingDividesByTheRoot) {
  const PeftConfig config = parse_peft_config(R"({"lora_alpha": 3, "use_rslora": true})", "test");
  EXPECT_DOUBLE_EQ(peft_scaling(config, "x", 4), 1.5);
}

TEST(PeftConfig, WithoutAlphaTheFactorIsOne) {
  EXPECT_DOUBLE_EQ(peft_scaling(parse_peft_config(R"({"r": 4})", "test"), "x", 4), 1.0);
}

TEST(PeftConfig, TheFirstPatternThatFitsTheEndOfTheNameCounts) {
  const PeftConfig config = parse_peft_config(
      R"({"r": 4, "lora_alpha": 4, "alpha_pattern": {"z.to_q": 1, "to_q": 2, "^a": 3, "b\\.\\d+": 5}})",
      "test");
  EXPECT_DOUBLE_EQ(peft_scaling(config, "y.to_q", 4), 0.5);
  EXPECT_DOUBLE_EQ(peft_scaling(config, "y.z.to_q", 4), 0.25);
  EXPECT_DOUBLE_EQ(peft_scaling(config, "y.into_q", 4), 1.0) << "a pattern begins at a dot";
  EXPECT_DOUBLE_EQ(peft_scaling(config, "a", 4), 0.75);
  EXPECT_DOUBLE_EQ(peft_scaling(config, "y.a", 4), 1.0) << "^ is the beginning of the name";
  EXPECT_DOUBLE_EQ(peft_scaling(config, "y.b.12", 4), 1.25);
}

TEST(PeftConfig, MetadataIsSplitByComponent) {
  const auto configs = parse_adapter_metadata(
      R"({"unet.lora_alpha": 8, "unet.r": 4, "text_encoder.lora_alpha": 2, "text_encoder.r": 4})",
      "test");
  ASSERT_EQ(configs.size(), 2U);
  EXPECT_DOUBLE_EQ(peft_scaling(configs.at("unet"), "x", 4), 2.0);
  EXPECT_DOUBLE_EQ(peft_scaling(configs.at("text_encoder"), "x", 4), 0.5);
}

TEST(PeftConfig, BrokenConfigurationsAreRefused) {
  for (const char* text :
       {"", "[]", "{", "\"r\"", R"({"lora_alpha": "8"})", R"({"lora_alpha": -1})",
        R"({"alpha_pattern": 3})", R"({"alpha_pattern": {"x": null}})"}) {
    EXPECT_THROW(parse_peft_config(text, "test"), Error) << text;
  }
  EXPECT_THROW(parse_adapter_metadata("no", "test"), Error);
  const PeftConfig config = parse_peft_config(R"({"alpha_pattern": {"(x": 1}, "r": 0})", "test");
  EXPECT_THROW(peft_scaling(config, "x", 4), Error) << "no regular expression";
  EXPECT_THROW(peft_scaling(parse_peft_config(R"({"r": 0})", "test"), "x", 0), Error);
}

TEST(PeftConfig, NullMeansAbsent) {
  const PeftConfig config =
      parse_peft_config(R"({"r": null, "lora_alpha": null, "alpha_pattern": null})", "test");
  EXPECT_DOUBLE_EQ(peft_scaling(config, "x", 4), 1.0);
}

TEST(PeftConfig, ReadsTheFileBesideTheWeights) {
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(read_peft_config(folder.path()));
  std::ofstream(folder.path() / "adapter_config.json") << R"({"r": 2, "lora_alpha": 1})";
  ASSERT_TRUE(read_peft_config(folder.path()));
  EXPECT_DOUBLE_EQ(*read_peft_config(folder.path())->alpha, 1.0);
}

}  // namespace
}  // namespace fourstep
