#include "workbench/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "workbench/detect_report.h"
#include "workbench/random_lora.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

class Doctor : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_tiny_sdxl(path("model.safetensors"));
    testing::write_random_lora(path("lora.safetensors"), 0.05, 100);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::filesystem::path path(const std::string& name) { return folder_->path() / name; }

  static Finding finding(const Examination& examination, const std::string& code) {
    for (const Finding& found : examination.findings) {
      if (found.code == code) return found;
    }
    return {};
  }

  static Examination look(const std::string& lora, double weight = 1) {
    return examine(path("model.safetensors"), path(lora), weight, {});
  }

  static inline testing::TemporaryFolder* folder_ = nullptr;
};

TEST_F(Doctor, HealthyLoraHasNoProblemBeforeItIsMergedCoarsely) {
  const Examination found = look("lora.safetensors");
  EXPECT_FALSE(finding(found, "matched").is_problem);
  EXPECT_FALSE(finding(found, "change").is_problem);
  EXPECT_NEAR(found.relative_change, 0.05, 1e-4);
  EXPECT_THAT(finding(found, "scale").sentence, HasSubstr("0.5"));  // alpha 2, rank 4
  EXPECT_THAT(finding(found, "text-encoder").sentence, HasSubstr("does nothing"));
  ASSERT_EQ(found.losses.size(), 4U);
  EXPECT_LT(found.losses[0].loss.error, 0.01);  // fp16
  EXPECT_GT(found.losses[2].loss.error, 0.1);   // fp8
  EXPECT_FALSE(finding(found, "precision").is_problem) << "a merge would keep the file's type";
  EXPECT_THAT(finding(found, "precision").sentence, HasSubstr("fp8"));
}

TEST_F(Doctor, ACoarseTypeOfTheCheckpointItselfIsAProblem) {
  MergeSettings settings;
  settings.storage = Storage::kFp8;
  settings.with_hashes = false;
  merge_into_file(path("model.safetensors"), settings, path("fp8.safetensors"), {});
  const Examination found = examine(path("fp8.safetensors"), path("lora.safetensors"), 1, {});
  EXPECT_TRUE(finding(found, "precision").is_problem);
  EXPECT_THAT(finding(found, "precision").remedy, HasSubstr("at run time"));
}

TEST_F(Doctor, WeightsCount) {
  EXPECT_NEAR(look("lora.safetensors", -0.5).relative_change, 0.025, 1e-4);
  EXPECT_TRUE(finding(look("lora.safetensors", 0), "switched-off").is_problem);
  EXPECT_TRUE(finding(look("lora.safetensors", 0.001), "change").is_problem);
  EXPECT_TRUE(finding(look("lora.safetensors", 8), "change").is_problem);
}

TEST_F(Doctor, AlphaOfZeroIsNamed) {
  NamedTensors tensors = open_safetensors(path("lora.safetensors")).tensors;
  for (auto& [key, tensor] : tensors) {
    if (key.ends_with(".alpha")) tensor = torch::zeros({});
  }
  write_safetensors(path("zero.safetensors"), tensors);
  EXPECT_THAT(finding(look("zero.safetensors"), "switched-off").sentence, HasSubstr("alpha 0"));
}

TEST_F(Doctor, LoraOfAnotherFamilyIsAFindingNotAnError) {
  const std::string key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
  write_safetensors(path("sd15.safetensors"), {{key + ".lora_down.weight", torch::randn({2, 768})},
                                               {key + ".lora_up.weight", torch::randn({320, 2})}});
  const Examination found = look("sd15.safetensors");
  EXPECT_TRUE(finding(found, "matched").is_problem);
  EXPECT_THAT(finding(found, "matched").sentence, HasSubstr("SD 1.5"));
  EXPECT_TRUE(found.losses.empty());
  EXPECT_THAT(text_of(found), HasSubstr("!!"));
}

TEST_F(Doctor, MergesInTheMetadataAreSeen) {
  TensorFile file = open_safetensors(path("model.safetensors"));
  file.metadata["modelspec.merged_from"] = "base, lora.safetensors";
  write_safetensors(path("said.safetensors"), file.tensors, file.metadata);
  const Examination found = examine(path("said.safetensors"), path("lora.safetensors"), 1, {});
  EXPECT_TRUE(finding(found, "already-merged").is_problem);
  EXPECT_FALSE(finding(look("lora.safetensors"), "already-merged").is_problem);
}

TEST_F(Doctor, TheChangeOfAKindThatDependsOnTheWeightIsMeasured) {
  const std::string key = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
  const Checkpoint model = testing::tiny_sdxl();
  const Tensor& w = model.components.at(Component::kUnet)
                        .at("mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight");
  write_safetensors(path("ia3.safetensors"), {{key + ".weight", torch::full({w.size(0)}, 0.1F)},
                                              {key + ".on_input", torch::tensor(0)}});
  EXPECT_NEAR(look("ia3.safetensors", 1).relative_change, 0.1, 1e-5);
  EXPECT_NEAR(look("ia3.safetensors", -0.5).relative_change, 0.05, 1e-5);
  EXPECT_EQ(look("ia3.safetensors", 0).relative_change, 0);
}
}  // namespace
}  // namespace fourstep
