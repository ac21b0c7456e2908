#include "workbench/base_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/single_file.h"
#include "support/files.h"
#include "support/scaled_fp8.h"
#include "workbench/detect.h"
#include "workbench/doctor.h"
#include "workbench/lora_extract.h"
#include "workbench/merge.h"
#include "workbench/random_lora.h"
#include "workbench/rebalance.h"

namespace fourstep {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;

/// Every command must take a checkpoint in scaled fp8 for what it stands for: the same checkpoint
/// with the true values.
class ScaledFp8Base : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_scaled_fp8(single_file_of(testing::tiny_sdxl()), path("scaled.safetensors"),
                              path("truth.safetensors"));
    testing::write_random_lora(path("lora.safetensors"), 0.05, 100);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::filesystem::path path(const std::string& name) { return folder_->path() / name; }

  static MergeSettings settings(std::optional<Storage> storage, double weight = 0) {
    MergeSettings settings;
    settings.storage = storage;
    settings.with_hashes = false;
    if (weight != 0) settings.loras = {{path("lora.safetensors"), weight, weight}};
    return settings;
  }

  static TensorFile merged(const std::string& name, const MergeSettings& settings) {
    merge_into_file(path(name), settings, path("out-" + name), {});
    return open_safetensors(path("out-" + name));
  }

  static void expect_same(const NamedTensors& found, const NamedTensors& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [key, tensor] : expected) {
      ASSERT_EQ(found.count(key), 1U) << key;
      EXPECT_TRUE(bytes_of(found.at(key)) == bytes_of(tensor)) << key;
    }
  }

  static inline testing::TemporaryFolder* folder_ = nullptr;
};

TEST_F(ScaledFp8Base, ConvertAndMergeWriteItsTrueValuesInEveryType) {
  for (const Storage storage : {Storage::kFp32, Storage::kFp16, Storage::kBf16, Storage::kFp8}) {
    for (const double weight : {0.0, 0.7}) {
      const TensorFile found = merged("scaled.safetensors", settings(storage, weight));
      expect_same(found.tensors, merged("truth.safetensors", settings(storage, weight)).tensors);
      EXPECT_EQ(found.metadata.count("_quantization_metadata"), 0U);
    }
  }
}

TEST_F(ScaledFp8Base, WithoutATypeItsMatricesBecomeFp16) {
  const NamedTensors truth = open_safetensors(path("truth.safetensors")).tensors;
  for (const auto& [key, tensor] : merged("scaled.safetensors", settings({})).tensors) {
    const bool is_scaled = key.ends_with(".weight") && truth.at(key).dim() >= 2;
    const Tensor expected = is_scaled ? truth.at(key).to(torch::kHalf) : truth.at(key);
    EXPECT_EQ(tensor.scalar_type(), expected.scalar_type()) << key;
    EXPECT_TRUE(bytes_of(tensor) == bytes_of(expected)) << key;
  }
}

TEST_F(ScaledFp8Base, FoldersHaveItsTrueValuesToo) {
  convert_model(path("scaled.safetensors"), settings(Storage::kFp32), path("scaled"), {});
  convert_model(path("truth.safetensors"), settings(Storage::kFp32), path("truth"), {});
  const Checkpoint truth = open_checkpoint(path("truth"));
  for (const auto& [component, weights] : open_checkpoint(path("scaled")).components) {
    expect_same(weights, truth.components.at(component));
  }
}

TEST_F(ScaledFp8Base, ScaledFoldersGoIntoOneFile) {
  for (const auto& [component, weights] : testing::tiny_sdxl().components) {
    const auto folder = path("parts") / to_string(component);
    std::filesystem::create_directories(folder);
    const testing::ScaledFp8 both = testing::scaled_fp8_of(weights);
    write_safetensors(folder / "diffusion_pytorch_model.safetensors", both.scaled);
    std::filesystem::create_directories(path("plain") / to_string(component));
    write_safetensors(path("plain") / to_string(component) / "model.safetensors", both.truth);
  }
  convert_model(path("parts"), settings(Storage::kFp32), path("one.safetensors"), {});
  convert_model(path("plain"), settings(Storage::kFp32), path("other.safetensors"), {});
  expect_same(open_safetensors(path("one.safetensors")).tensors,
              open_safetensors(path("other.safetensors")).tensors);
  convert_model(path("parts"), settings({}), path("as_stored.safetensors"), {});
}

TEST_F(ScaledFp8Base, ExtractionFindsWhatWasAddedToTheTrueValues) {
  merged("truth.safetensors", settings(Storage::kFp32, 1));
  const Checkpoint tuned = open_checkpoint(path("out-truth.safetensors"));
  const auto extracted = [&](const std::string& base) {
    return extract_lora(tuned, open_checkpoint(path(base)), {4, 4, 0.01, torch::kFloat}, {});
  };
  const ExtractResult found = extracted("scaled.safetensors");
  const ExtractResult expected = extracted("truth.safetensors");
  EXPECT_EQ(found.total_squared, expected.total_squared);
  EXPECT_EQ(found.modules.size(), expected.modules.size());
}

TEST_F(ScaledFp8Base, DetectFingerprintAndDoctorMeasureTheTrueValues) {
  DetectSettings settings;
  settings.lora = path("lora.safetensors");
  settings.base = path("scaled.safetensors");
  merged("truth.safetensors", ScaledFp8Base::settings(Storage::kFp32, 0.5));
  EXPECT_NEAR(detect(path("out-truth.safetensors"), settings, {}).estimate.strength, 0.5, 1e-4);
  const auto fingerprint = [&](const std::string& base) {
    return make_fingerprint(path(base), settings.lora, {}).modules;
  };
  const auto expected = fingerprint("truth.safetensors");
  for (const auto& [key, found] : fingerprint("scaled.safetensors")) {
    EXPECT_NEAR(found.weight_norm2, expected.at(key).weight_norm2, 1e-6 * found.weight_norm2);
    EXPECT_NEAR(found.dot, expected.at(key).dot, 1e-6 * std::sqrt(found.weight_norm2));
  }
  EXPECT_NEAR(examine(path("scaled.safetensors"), settings.lora, 1, {}).relative_change,
              examine(path("truth.safetensors"), settings.lora, 1, {}).relative_change, 1e-6);
}

TEST_F(ScaledFp8Base, TopupAddsToTheTrueValues) {
  RebalanceSettings wanted;
  wanted.detect.lora = path("lora.safetensors");
  wanted.detect.base = path("truth.safetensors");
  wanted.target = 1;
  wanted.merge = settings(Storage::kFp32);
  const Rebalance done = rebalance(path("scaled.safetensors"), wanted, path("up.safetensors"), {});
  EXPECT_NEAR(done.after.estimate.strength, 1, 1e-4);
}

TEST_F(ScaledFp8Base, ValuesBeyondFp16AreNamedInsteadOfWritten) {
  testing::ScaledFp8 both = testing::scaled_fp8_of(single_file_of(testing::tiny_sdxl()).tensors);
  const std::string key = "model.diffusion_model.input_blocks.0.0.weight";
  both.scaled.at(key + "_scale") = torch::tensor(1e6F);
  write_safetensors(path("large.safetensors"), both.scaled);
  const auto message =
      testing::message_of<Error>([&] { merged("large.safetensors", settings({})); });
  EXPECT_THAT(message, HasSubstr("input_blocks.0.0.weight"));
  EXPECT_THAT(message, HasSubstr("fp16"));
}

TEST_F(ScaledFp8Base, IntegersAreNeverWrittenAsNumbers) {
  NamedTensors tensors = single_file_of(testing::tiny_sdxl()).tensors;
  Tensor& weight = tensors.at("model.diffusion_model.input_blocks.0.0.weight");
  weight = torch::ones(weight.sizes(), torch::kChar);
  write_safetensors(path("int8.safetensors"), tensors);
  for (const char* output : {"never.safetensors", "never"}) {
    EXPECT_THAT(testing::message_of<Error>([&] {
                  convert_model(path("int8.safetensors"), settings(Storage::kFp32), path(output),
                                {});
                }),
                HasSubstr("int8 without a scale"));
    EXPECT_FALSE(std::filesystem::exists(path(output)));
  }
}

}  // namespace
}  // namespace fourstep
