#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "io/safetensors.h"
#include "lora/lora_file.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

class OpenLora : public ::testing::Test {
 protected:
  void write(const std::string& name, const Metadata& metadata = {}) {
    write_safetensors(folder_.path() / name,
                      {{"base_model.model.x.lora_A.weight", torch::ones({4, 3})},
                       {"base_model.model.x.lora_B.weight", torch::ones({5, 4})}},
                      metadata);
  }
  void configure() {
    std::ofstream(folder_.path() / "adapter_config.json") << R"({"r": 4, "lora_alpha": 2})";
  }
  static double factor(const LoraFile& file) { return factor_of(file.weights.begin()->second); }

  testing::TemporaryFolder folder_;
};

TEST_F(OpenLora, APeftFolderBringsItsAlpha) {
  write("adapter_model.safetensors");
  configure();
  EXPECT_EQ(factor(open_lora(folder_.path())), 0.5);
  EXPECT_EQ(factor(open_lora(folder_.path() / "adapter_model.safetensors")), 0.5);
}

TEST_F(OpenLora, AConfigurationBesideAnotherFileIsNotItsOwn) {
  write("style.safetensors");
  configure();
  EXPECT_EQ(factor(open_lora(folder_.path() / "style.safetensors")), 1.0);
}

TEST_F(OpenLora, ADiffusersFolderBringsItsMetadata) {
  write("pytorch_lora_weights.safetensors",
        {{"lora_adapter_metadata", R"({"base_model.model.lora_alpha": 8})"}});
  EXPECT_EQ(factor(open_lora(folder_.path())), 2.0);
}

TEST_F(OpenLora, AFolderWithoutWeightsIsAnError) {
  try {
    open_lora(folder_.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("neither adapter_model nor pytorch_lora_weights"));
  }
}

TEST_F(OpenLora, FactorsInScaledFp8HaveTheirTrueValues) {
  const auto path = folder_.path() / "scaled.safetensors";
  write_safetensors(path, {{"x.lora_down.weight", torch::ones({4, 3}).to(torch::kFloat8_e4m3fn)},
                           {"x.lora_down.weight_scale", torch::tensor(0.3F)},
                           {"x.lora_up.weight", torch::ones({5, 4})},
                           {"x.alpha", torch::full({}, 4, torch::kLong)}});
  const LoraFile file = open_lora(path);
  const auto& low = std::get<LowRank>(file.weights.at("x").weight);
  EXPECT_TRUE(torch::equal(low.down, torch::full({4, 3}, 0.3F)));
  EXPECT_TRUE(file.unknown_keys.empty());
}

TEST_F(OpenLora, QuantisedFactorsAreRefusedByName) {
  const auto path = folder_.path() / "int8.safetensors";
  write_safetensors(path, {{"x.lora_down.weight", torch::ones({4, 3}, torch::kChar)},
                           {"x.lora_up.weight", torch::ones({5, 4})}});
  try {
    open_lora(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("quantised (int8 without a scale), key \"x.lora_down.weight"));
  }
}

TEST_F(OpenLora, AMissingFileIsAnError) { EXPECT_THROW(open_lora(folder_.path() / "no"), Error); }

}  // namespace
}  // namespace fourstep
