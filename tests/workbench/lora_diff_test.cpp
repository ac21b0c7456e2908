#include "workbench/lora_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loras.h"
#include "workbench/lora_merge.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

std::map<std::string, LoraModule> some(int seed, torch::ScalarType dtype = torch::kFloat) {
  torch::manual_seed(seed);
  std::map<std::string, LoraModule> modules;
  for (const std::string& name : {kQuery, kOut, kConvolution, kText})
    modules[name] = random_module(name, 4, 2, dtype);
  return modules;
}

FittedLora cast(const std::map<std::string, LoraModule>& modules, torch::ScalarType dtype) {
  std::map<std::string, LoraModule> rounded = modules;
  for (auto& [name, module] : rounded) {
    auto& low = std::get<LowRank>(module.weight);
    low.up = low.up.to(dtype);
    low.down = low.down.to(dtype);
  }
  return fitted(rounded, "b.safetensors");
}

LoraDiff diff(const FittedLora& a, const FittedLora& b) { return diff_loras(a, b); }

TEST(LoraDiff, AFileAndItselfAreIdentical) {
  const LoraDiff result = diff(fitted(some(1)), fitted(some(1)));
  EXPECT_EQ(result.relation, LoraRelation::kIdentical);
  EXPECT_EQ(result.total.relative(), 0);
  EXPECT_NEAR(result.total.cosine(), 1, 1e-15);
}

TEST(LoraDiff, TwoPrecisionsOfOneAreRecognised) {
  const LoraDiff half = diff(fitted(some(1)), cast(some(1), torch::kHalf));
  EXPECT_EQ(half.relation, LoraRelation::kSamePrecisions);
  EXPECT_THAT(verdict(half), HasSubstr("two precisions (F32 and F16)"));
  // Both factors rounded to 11 bits: each error uniform within half a unit of 2^-11 to 2^-10.
  EXPECT_GT(half.total.relative(), 1e-4);
  EXPECT_LT(half.total.relative(), 5e-4);
  EXPECT_EQ(diff(fitted(some(1)), cast(some(1), torch::kBFloat16)).relation,
            LoraRelation::kSamePrecisions);
}

TEST(LoraDiff, HalfAndHalfOfTwoPrecisionsIsTheWhole) {
  const auto part = [](const FittedLora& lora) { return MergePart{lora.modules(), 0.5, 0.5, {}}; };
  const FittedLora whole = fitted(some(1));
  const MergeResult sum =
      merge_loras({part(whole), part(cast(some(1), torch::kHalf))}, sdxl(), std::nullopt);
  std::map<std::string, LoraModule> modules;
  for (const auto& [id, module] : sum.modules) modules[text_of(id)] = module;
  const LoraDiff result = diff(whole, fitted(modules));
  EXPECT_LT(result.total.relative(), 4.9e-4) << "fp16's epsilon / 2";
  EXPECT_NEAR(result.total.scale(), 1, 1e-4);
  EXPECT_EQ(result.relation, LoraRelation::kSameThroughHalf);
  EXPECT_THAT(verdict(result), HasSubstr("up to the rounding of F16"));
}

TEST(LoraDiff, AnotherScaleIsMeasured) {
  auto scaled = some(1);
  for (auto& [name, module] : scaled) module.alpha = *module.alpha * -0.7;
  const LoraDiff result = diff(fitted(some(1)), fitted(scaled));
  EXPECT_EQ(result.relation, LoraRelation::kScaled);
  EXPECT_NEAR(result.total.scale(), -0.7, 1e-12);
  EXPECT_NEAR(result.total.relative(), 1.7, 1e-12);
  EXPECT_THAT(verdict(result), HasSubstr("-0.7 times A"));
}

TEST(LoraDiff, OtherWeightsPerModuleAreTold) {
  auto reweighted = some(1);
  reweighted[kQuery].alpha = 9;
  EXPECT_EQ(diff(fitted(some(1)), fitted(reweighted)).relation, LoraRelation::kReweighted);
}

TEST(LoraDiff, TheSameProductOfOtherFactorsIsIdentical) {
  auto other = some(1);
  for (auto& [name, module] : other) {
    auto& low = std::get<LowRank>(module.weight);
    low.up = torch::cat({low.up * 2, torch::zeros_like(low.up)}, 1);
    low.down = torch::cat({low.down / 2, low.down}, 0);
    module.alpha = *module.alpha * 2;  // rank 8 now
  }
  const LoraDiff result = diff(fitted(some(1)), fitted(other));
  EXPECT_EQ(result.relation, LoraRelation::kIdentical);
  EXPECT_LT(result.total.relative(), 1e-12);
}

TEST(LoraDiff, BlocksAreComparedOnTheirOwn) {
  auto other = some(1);
  other[kQuery] = some(2)[kQuery];
  const LoraDiff result = diff(fitted(some(1)), fitted(other));
  ASSERT_EQ(result.blocks.size(), 4u);
  EXPECT_EQ(result.blocks[0].first, "TE1");
  EXPECT_EQ(result.blocks[0].second.relative(), 0);
  EXPECT_EQ(result.blocks[2].first, "IN04");
  const Tensor a = full_delta(by_id(some(1)), kQuery), b = full_delta(by_id(other), kQuery);
  const double cosine = (a * b).sum().item<double>() / (norm_of(a) * norm_of(b));
  EXPECT_NEAR(result.blocks[2].second.cosine(), cosine, 1e-12);
  EXPECT_NEAR(result.blocks[2].second.relative(), norm_of(a - b) / std::max(norm_of(a), norm_of(b)),
              1e-12);
}

TEST(LoraDiff, StrangersAreDifferentAndMissingModulesCount) {
  EXPECT_EQ(diff(fitted(some(1)), fitted(some(2))).relation, LoraRelation::kDifferent);
  auto fewer = some(1);
  fewer.erase(kText);
  const LoraDiff part = diff(fitted(some(1)), fitted(fewer));
  EXPECT_EQ(part.total.num_only_a, 1u);
  EXPECT_EQ(part.relation, LoraRelation::kRelated);
  const LoraDiff none = diff(fitted({{kText, some(1)[kText]}}), fitted(fewer));
  EXPECT_EQ(none.relation, LoraRelation::kDisjoint);
  EXPECT_THAT(verdict(none), HasSubstr("no weight in common"));
}

TEST(LoraDiff, TheTableAndTheJsonSayTheSame) {
  const LoraDiff result = diff(fitted(some(1)), cast(some(1), torch::kHalf));
  EXPECT_THAT(diff_text(result), HasSubstr(verdict(result)));
  const auto json = nlohmann::json::parse(diff_json(result));
  EXPECT_EQ(json["verdict"], verdict(result));
  EXPECT_EQ(json["total"]["relative_difference"], result.total.relative());
  EXPECT_EQ(json["blocks"].size(), result.blocks.size());
}

TEST(LoraDiff, KindsThatDependOnTheWeightAreEqualOrRefused) {
  torch::manual_seed(6);
  const auto kinds = weight_dependent_modules();
  for (const auto& [kind, module] : kinds) {
    if (kind == "DoRA") continue;
    const FittedLora lora = fitted({{kQuery, module}});
    EXPECT_EQ(diff(lora, lora).relation, LoraRelation::kIdentical) << kind;
    const FittedLora other = fitted({{kQuery, random_module(kQuery, 2, 2)}});
    const FittedLora apart = fitted({{kOut, random_module(kOut, 2, 2)}});
    for (const FittedLora& b : {other, apart}) {
      EXPECT_THAT(testing::message_of<Error>([&] { diff(lora, b); }),
                  HasSubstr("what a module of " + kind));
    }
  }
}
}  // namespace
}  // namespace fourstep
