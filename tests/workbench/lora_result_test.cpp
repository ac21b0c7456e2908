#include "workbench/lora_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "loras.h"
#include "workbench/lora_algebra.h"

namespace fourstep {
namespace {

TEST(LoraResult, TheFileHoldsTheModulesAndTheErrorIsThatOfRounding) {
  const testing::TemporaryFolder folder;
  torch::manual_seed(51);
  const auto modules = by_id(
      {{kQuery, random_module(kQuery, 4, 2.8)}, {kConvolution, random_module(kConvolution, 4, 2)}});
  const auto path = folder.path() / "x.safetensors";
  const double rounding = write_lora(path, modules, sdxl(), torch::kHalf, {{"a", "b"}});
  EXPECT_GT(rounding, 1e-4);
  EXPECT_LT(rounding, 4.9e-4);
  const FittedLora back = open_fitted(path, {sdxl()});
  double lost = 0, total = 0;
  for (const auto& [id, module] : modules) {
    lost += distance_squared(module, back.modules().at(id));
    total += norm_squared(module);
  }
  EXPECT_NEAR(std::sqrt(lost / total), rounding, 1e-12);
  EXPECT_EQ(back.file.metadata.at("a"), "b");
}

TEST(LoraResult, ValuesThatTheTypeCannotHoldLeaveNoFile) {
  const testing::TemporaryFolder folder;
  LoraModule large = random_module(kQuery, 4, 4);
  std::get<LowRank>(large.weight).up *= 1e9;
  const auto path = folder.path() / "x.safetensors";
  EXPECT_THROW(write_lora(path, by_id({{kQuery, large}}), sdxl(), torch::kHalf, {}), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(LoraResult, TheMetadataNamesPartsWeightsHashesAndLicences) {
  const testing::TemporaryFolder folder;
  const auto a = testing::write_file(folder.path() / "a.safetensors", "abc");
  const auto b = testing::write_file(folder.path() / "b.safetensors", "abc");
  const Metadata of_a = {
      {"modelspec.license", "CC BY-NC 4.0"}, {"ss_base_model_version", "sdxl"}, {"ss_v2", "False"}};
  const Metadata of_b = {{"license", "MIT"}, {"ss_base_model_version", "sdxl"}, {"ss_v2", "True"}};
  const Metadata metadata =
      result_metadata("merge", {{a, 0.7, "", of_a}, {b, -0.3, "text encoders 1", of_b}},
                      by_id({{kQuery, random_module(kQuery, 4, 2)}}));
  EXPECT_EQ(metadata.at("modelspec.license"), "CC BY-NC 4.0; MIT");
  EXPECT_EQ(metadata.at("modelspec.merged_from"), "a.safetensors, b.safetensors");
  EXPECT_EQ(metadata.at("ss_base_model_version"), "sdxl");
  EXPECT_EQ(metadata.count("ss_v2"), 0u) << "they disagree";
  EXPECT_EQ(metadata.at("ss_network_dim"), "4");
  EXPECT_EQ(metadata.at("ss_network_alpha"), "2");
  const auto made = nlohmann::json::parse(metadata.at("fourstep.made_from"));
  EXPECT_EQ(made["parts"][0]["name"], "a.safetensors");
  EXPECT_EQ(made["parts"][0]["license"], "CC BY-NC 4.0");
  EXPECT_EQ(made["parts"][1]["weight"], -0.3);
  EXPECT_EQ(made["parts"][1]["note"], "text encoders 1");
  // SHA-256 of "abc": FIPS 180-4, appendix.
  EXPECT_EQ(made["parts"][0]["sha256"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(LoraResult, TypesHaveThreeNames) {
  EXPECT_EQ(lora_dtype_from_text("bf16"), torch::kBFloat16);
  EXPECT_THROW(lora_dtype_from_text("fp64"), InvalidRequest);
  EXPECT_EQ(widest_type({by_id({{kQuery, random_module(kQuery, 4, 2, torch::kHalf)}})}),
            torch::kHalf);
  EXPECT_EQ(widest_type({by_id({{kQuery, random_module(kQuery, 4, 2, torch::kHalf)}}),
                         by_id({{kQuery, random_module(kQuery, 4, 2)}})}),
            torch::kFloat);
}

}  // namespace
}  // namespace fourstep
