#include "workbench/detect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "io/single_file.h"
#include "support/files.h"
#include "support/scaled_fp8.h"
#include "workbench/random_lora.h"
#include "workbench/rebalance.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

constexpr double kStrengths[] = {0, 0.2, 0.5, 0.7, 1.0, -0.25};

class Detect : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    write("base.safetensors", [](Checkpoint&) {});
    testing::write_random_lora(path("lora.safetensors"), 0.05, 100);
    testing::write_random_lora(path("second.safetensors"), 0.05, 5000);
    const Fingerprint fingerprint =
        make_fingerprint(path("base.safetensors"), path("lora.safetensors"), {});
    write_fingerprint(path("base.json"), fingerprint);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::filesystem::path path(const std::string& name) { return folder_->path() / name; }

  /// The base, in fp16, after `change` in fp32.
  static void write(const std::string& name, const std::function<void(Checkpoint&)>& change,
                    torch::Dtype dtype = torch::kHalf) {
    testing::write_tiny_sdxl(path(name), [&](Checkpoint& model) {
      testing::store_as(model, torch::kHalf);
      testing::store_as(model, torch::kFloat);
      change(model);
      testing::store_as(model, dtype);
    });
  }

  static void write_at(double strength, const std::string& name = "merged.safetensors") {
    write(name,
          [&](Checkpoint& model) { testing::add_lora(model, path("lora.safetensors"), strength); });
  }

  static DetectSettings by_base() {
    DetectSettings settings;
    settings.lora = path("lora.safetensors");
    settings.base = path("base.safetensors");
    return settings;
  }

  static DetectSettings by_fingerprints(const std::vector<std::string>& names) {
    DetectSettings settings;
    settings.lora = path("lora.safetensors");
    for (const std::string& name : names) settings.fingerprints.push_back(path(name));
    return settings;
  }

  static Detection found(const DetectSettings& settings,
                         const std::string& name = "merged.safetensors") {
    return detect(path(name), settings, {});
  }

  static inline testing::TemporaryFolder* folder_ = nullptr;
};

struct Condition {
  const char* name;
  double noise;
  bool has_second_lora;
};

constexpr Condition kConditions[] = {
    {"plain", 0, false}, {"1% noise, second LoRA", 0.01, true}, {"3% noise", 0.03, false}};

/// The promise of the command: strengths within 0.02 where the type is fp32 or fp16, and error bars
/// that cover the truth about as often as they say (95%).
class DetectIn : public Detect, public ::testing::WithParamInterface<torch::Dtype> {};

TEST_P(DetectIn, StrengthsAreFoundAndErrorBarsCoverThem) {
  const bool is_fine = GetParam() == torch::kFloat || GetParam() == torch::kHalf;
  size_t covered = 0, all = 0;
  uint64_t seed = 0;
  for (const Condition& condition : kConditions) {
    for (const double truth : kStrengths) {
      seed += 10000;
      write(
          "merged.safetensors",
          [&](Checkpoint& model) {
            if (condition.noise > 0) testing::add_noise(model, condition.noise, seed);
            if (condition.has_second_lora)
              testing::add_lora(model, path("second.safetensors"), 0.8);
            testing::add_lora(model, path("lora.safetensors"), truth);
          },
          GetParam());
      for (const DetectSettings& settings : {by_base(), by_fingerprints({"base.json"})}) {
        const Detection detection = found(settings);
        const double miss = std::abs(detection.estimate.strength - truth);
        const std::string what =
            fmt::format("{} {} at {}: {:.5f} +- {:.5f}", c10::toString(GetParam()), condition.name,
                        truth, detection.estimate.strength, detection.estimate.error);
        EXPECT_LE(miss, is_fine ? 0.02 : 0.05) << what;
        EXPECT_LE(miss, 2 * detection.estimate.error) << what;
        covered += miss <= detection.estimate.error ? 1 : 0;
        ++all;
        if (std::getenv("FOURSTEP_PRINT")) fmt::print("{}\n", what);
      }
    }
  }
  EXPECT_GE(static_cast<double>(covered), 0.9 * static_cast<double>(all))
      << covered << " of " << all;
}

INSTANTIATE_TEST_SUITE_P(Types, DetectIn,
                         ::testing::Values(torch::kFloat, torch::kHalf, torch::kBFloat16,
                                           torch::kFloat8_e4m3fn));

/// Both sides on one coarse grid: rounding swallows small changes, and the error bar says so.
TEST_F(Detect, LossByRoundingIsInTheErrorBar) {
  testing::write_random_lora(path("small.safetensors"), 0.002, 300);
  const auto on_bf16 = [&](const std::string& name, double strength) {
    testing::write_tiny_sdxl(path(name), [&](Checkpoint& model) {
      testing::store_as(model, torch::kBFloat16);
      testing::store_as(model, torch::kFloat);
      testing::add_lora(model, path("small.safetensors"), strength);
      testing::store_as(model, torch::kBFloat16);
    });
  };
  on_bf16("bf16.safetensors", 0);
  DetectSettings settings;
  settings.lora = path("small.safetensors");
  settings.base = path("bf16.safetensors");
  for (const double truth : {0.5, 1.0}) {
    on_bf16("merged.safetensors", truth);
    const Detection detection = found(settings);
    EXPECT_NEAR(detection.estimate.strength, truth, detection.estimate.error + 1e-3);
    EXPECT_GT(detection.rounding, 0.02);
    EXPECT_LT(detection.estimate.error, 0.3);
  }
}

/// The steps of fp8 are as large as the LoRA's whole change: most of it is lost, and all of it may
/// be.
TEST_F(Detect, InFp8FilesOfFp8BasesTheErrorBarReachesTheTruth) {
  const auto on_fp8 = [&](const std::string& name, double strength) {
    testing::write_tiny_sdxl(path(name), [&](Checkpoint& model) {
      testing::store_as(model, torch::kFloat8_e4m3fn);
      testing::store_as(model, torch::kFloat);
      testing::add_lora(model, path("lora.safetensors"), strength);
      testing::store_as(model, torch::kFloat8_e4m3fn);
    });
  };
  on_fp8("fp8.safetensors", 0);
  write_fingerprint(path("fp8.json"),
                    make_fingerprint(path("fp8.safetensors"), path("lora.safetensors"), {}));
  DetectSettings from_base = by_base();
  from_base.base = path("fp8.safetensors");
  for (const double truth : kStrengths) {
    on_fp8("merged.safetensors", truth);
    for (const DetectSettings& settings : {from_base, by_fingerprints({"fp8.json"})}) {
      const StrengthEstimate estimate = found(settings).estimate;
      EXPECT_NEAR(estimate.strength, truth, estimate.error) << truth;
      EXPECT_GT(estimate.error, truth == 0 ? 0 : 0.001) << truth;
    }
  }
}

/// Their steps are those of the codes times the scale, not those of the fp16 that a merge would
/// write.
TEST_F(Detect, InScaledFp8FilesTheErrorBarKnowsTheirSteps) {
  testing::write_scaled_fp8(single_file_of(testing::tiny_sdxl()), path("scaled.safetensors"),
                            path("true.safetensors"));
  DetectSettings settings = by_base();
  settings.base = path("scaled.safetensors");
  for (const double truth : {0.2, 0.7, 1.0}) {
    Checkpoint model = open_checkpoint(path("true.safetensors"));
    testing::add_lora(model, path("lora.safetensors"), truth);
    testing::write_scaled_fp8(single_file_of(model), path("merged.safetensors"),
                              path("ignored.safetensors"));
    const StrengthEstimate estimate = found(settings).estimate;
    EXPECT_NEAR(estimate.strength, truth, estimate.error) << truth;
    EXPECT_GT(estimate.error, 0.002) << truth;
  }
}

/// Projections are zero where training begins.
TEST_F(Detect, AWeightOfZerosDoesNotOutweighAllOthers) {
  const auto with_zeros = [&](const std::string& name, double strength) {
    write(name, [&](Checkpoint& model) {
      Tensor& weight =
          model.components.at(Component::kUnet).at("down_blocks.0.resnets.0.conv2.weight");
      weight = torch::zeros_like(weight);
      testing::add_lora(model, path("lora.safetensors"), strength);
    });
  };
  with_zeros("zeros.safetensors", 0);
  write_fingerprint(path("zeros.json"),
                    make_fingerprint(path("zeros.safetensors"), path("lora.safetensors"), {}));
  DetectSettings from_base = by_base();
  from_base.base = path("zeros.safetensors");
  for (const double truth : {0.0, 0.7}) {
    with_zeros("merged.safetensors", truth);
    for (const DetectSettings& settings : {from_base, by_fingerprints({"zeros.json"})}) {
      const StrengthEstimate estimate = found(settings).estimate;
      EXPECT_NEAR(estimate.strength, truth, std::min(estimate.error, 0.01));
    }
  }
}

TEST_F(Detect, BaseAndFingerprintAgree) {
  write_at(0.7);
  const Detection by_weights = found(by_base()), by_numbers = found(by_fingerprints({"base.json"}));
  EXPECT_NEAR(by_weights.estimate.strength, by_numbers.estimate.strength, 1e-3);
  EXPECT_EQ(by_weights.modules.size(), by_numbers.modules.size());
  EXPECT_EQ(by_weights.verdict, Verdict::kPartial);
  EXPECT_THAT(by_weights.reference, HasSubstr("base.safetensors"));
  ASSERT_TRUE(by_weights.other_change);
  EXPECT_LT(*by_weights.other_change, 0.001);
  EXPECT_FALSE(by_numbers.other_change);
}

TEST_F(Detect, TheFingerprintThatFitsWins) {
  write("stranger.safetensors", [](Checkpoint& model) { testing::add_noise(model, 0.5, 9); });
  write_fingerprint(path("stranger.json"),
                    make_fingerprint(path("stranger.safetensors"), path("lora.safetensors"), {}));
  write_at(0.5);
  const Detection detection = found(by_fingerprints({"stranger.json", "base.json"}));
  EXPECT_THAT(detection.reference, HasSubstr("\"base.safetensors\""));
  ASSERT_EQ(detection.candidates.size(), 2U);
  EXPECT_EQ(detection.candidates[0].name, "base.safetensors");
  EXPECT_LT(detection.candidates[0].estimate.scatter,
            0.2 * detection.candidates[1].estimate.scatter);
  EXPECT_NEAR(detection.estimate.strength, 0.5, 0.01);
}

TEST_F(Detect, WithoutABaseTheErrorBarIsHonest) {
  for (const double truth : {0.0, 1.0}) {
    write_at(truth);
    const Detection detection = found(by_fingerprints({}));
    EXPECT_NEAR(detection.estimate.strength, truth, 1.5 * detection.estimate.error);
    EXPECT_GT(detection.estimate.error, 0.003);
    EXPECT_THAT(detection.reference, HasSubstr("no base"));
  }
}

TEST_F(Detect, AnotherLoraIsNotTakenForThisOne) {
  write("merged.safetensors",
        [&](Checkpoint& model) { testing::add_lora(model, path("second.safetensors"), 1); });
  const Detection other = found(by_base());
  EXPECT_EQ(other.verdict, Verdict::kOther) << other.estimate.strength;
  EXPECT_TRUE(other.is_other_low_rank);
  write("merged.safetensors", [](Checkpoint& model) { testing::add_noise(model, 0.05, 7); });
  const Detection tuned = found(by_base());
  EXPECT_EQ(tuned.verdict, Verdict::kNone);
  EXPECT_FALSE(tuned.is_other_low_rank);
  ASSERT_TRUE(tuned.other_change);
  EXPECT_NEAR(*tuned.other_change, 0.05, 0.002);
}

TEST_F(Detect, FingerprintsOfOtherLorasAndDamagedOnesAreRefused) {
  write_at(1);
  DetectSettings settings = by_fingerprints({"base.json"});
  settings.lora = path("second.safetensors");
  testing::write_random_lora(path("stronger.safetensors"), 0.1, 100);
  settings.lora = path("stronger.safetensors");
  EXPECT_THAT(message_of<Error>([&] { found(settings); }), HasSubstr("another LoRA"));
  const std::string good = testing::read_file(path("base.json"));
  const auto refusal = [&](const std::string& text) {
    testing::write_file(path("bad.json"), text);
    return message_of<Error>([&] { read_fingerprint(path("bad.json")); });
  };
  EXPECT_THAT(refusal("{}"), HasSubstr("no fingerprint"));
  EXPECT_THAT(refusal(good.substr(0, good.size() / 2)), HasSubstr("bad.json"));
  EXPECT_THAT(refusal(R"({"format":"fourstep fingerprint 1","modules":{"unet.x":[1,2,3]}})"),
              HasSubstr("four numbers"));
  EXPECT_THAT(refusal(R"({"format":"fourstep fingerprint 1","modules":{"unet.x":[1,2,-3,4]}})"),
              HasSubstr("positive"));
  EXPECT_THAT(refusal(R"({"format":"fourstep fingerprint 1","modules":[]})"),
              HasSubstr("bad.json"));
}

TEST_F(Detect, FingerprintsSurviveTheFile) {
  const Fingerprint read = read_fingerprint(path("base.json"));
  const Fingerprint made = make_fingerprint(path("base.safetensors"), path("lora.safetensors"), {});
  ASSERT_EQ(read.modules.size(), made.modules.size());
  for (const auto& [key, projection] : made.modules) {
    EXPECT_EQ(read.modules.at(key).dot, projection.dot) << key;
    EXPECT_EQ(read.modules.at(key).num_elements, projection.num_elements) << key;
  }
  EXPECT_EQ(read.base_dtype, "F16");
  EXPECT_EQ(read.base_family, "SDXL");
}

TEST_F(Detect, RebalancingReachesTheTarget) {
  write_at(0.7);
  for (const double target : {0.0, 0.7, 1.0}) {
    RebalanceSettings settings;
    settings.detect = by_base();
    settings.target = target;
    settings.is_forced = target == 0.7;  // a copy
    settings.merge.with_hashes = false;
    const Rebalance done =
        rebalance(path("merged.safetensors"), settings, path("new.safetensors"), {});
    EXPECT_NEAR(done.before.estimate.strength, 0.7, 0.003);
    EXPECT_NEAR(done.weight, target - 0.7, 0.003);
    EXPECT_NEAR(done.after.estimate.strength, target, 0.003);
  }
}

TEST_F(Detect, NothingIsTakenOutOfAModelThatHasNoneOfIt) {
  RebalanceSettings settings;
  settings.detect = by_base();
  settings.merge.with_hashes = false;
  const auto refusal = [&](double target) {
    settings.target = target;
    return message_of<InvalidRequest>(
        [&] { rebalance(path("base.safetensors"), settings, path("never.safetensors"), {}); });
  };
  EXPECT_THAT(refusal(-1), HasSubstr("would damage the model"));
  EXPECT_THAT(refusal(0), HasSubstr("nothing to do"));
  EXPECT_FALSE(std::filesystem::exists(path("never.safetensors")));
}

TEST_F(Detect, LorasThatAreNoDifferencesAreNeitherMeasuredNorTakenOut) {
  const std::string key = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
  RebalanceSettings settings;
  settings.detect = by_base();
  settings.detect.lora = path("oft.safetensors");
  settings.merge.with_hashes = false;
  const Checkpoint model = testing::tiny_sdxl();
  const int64_t rows = model.components.at(Component::kUnet)
                           .at("mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight")
                           .size(0);
  write_safetensors(path("oft.safetensors"),
                    {{key + ".oft_blocks", torch::zeros({rows / 4, 4, 4})}});
  EXPECT_THAT(message_of<Error>([&] { detect(path("base.safetensors"), settings.detect, {}); }),
              HasSubstr("consists of OFT modules"));
  EXPECT_THAT(message_of<InvalidRequest>([&] {
                rebalance(path("base.safetensors"), settings, path("never.safetensors"), {});
              }),
              HasSubstr("is OFT, whose change"));
}
}  // namespace
}  // namespace fourstep
