#include "workbench/lora_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "lora/relative_change.h"
#include "loras.h"
#include "workbench/lora_algebra.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using Modules = std::map<ParameterId, LoraModule>;

MergeResult merged(const std::vector<MergePart>& parts,
                   const std::optional<RankChoice>& rank = std::nullopt) {
  return merge_loras(parts, sdxl(), rank);
}

const LowRank& low(const Modules& modules, const std::string& name) {
  return std::get<LowRank>(modules.at(id_of(name)).weight);
}

Modules first() {
  torch::manual_seed(21);
  return by_id({{kQuery, random_module(kQuery, 4, 2)},
                {kConvolution, random_module(kConvolution, 3, 3)},
                {kText, random_module(kText, 2, 1)}});
}

Modules second() {
  torch::manual_seed(22);
  return by_id({{kQuery, random_module(kQuery, 5, 10)}, {kOut, random_module(kOut, 4, 4)}});
}

TEST(LoraMerge, TheSumOfTheDifferencesIsTheDifferenceOfTheResult) {
  const MergeResult result = merged({{first(), 0.7, 0.7, {}}, {second(), -0.3, -0.3, {}}});
  const Tensor expected = full_delta(first(), kQuery) * 0.7 - full_delta(second(), kQuery) * 0.3;
  EXPECT_LT(norm_of(full_delta(result.modules, kQuery) - expected), 1e-7 * norm_of(expected));
  EXPECT_EQ(rank_of(result.modules.at(id_of(kQuery))), 9) << "ranks add up";
  EXPECT_EQ(result.modules.size(), 4u);
  EXPECT_EQ(result.relative_error(), 0);
}

TEST(LoraMerge, AModuleOfOnePartKeepsItsFactorsBitByBit) {
  const MergeResult result = merged({{first(), 0.7, 0.2, {}}, {second(), -0.3, 1, {}}});
  EXPECT_TRUE(torch::equal(low(result.modules, kConvolution).up, low(first(), kConvolution).up));
  EXPECT_TRUE(torch::equal(low(result.modules, kOut).down, low(second(), kOut).down));
  EXPECT_DOUBLE_EQ(factor_of(result.modules.at(id_of(kConvolution))), 0.7);
  EXPECT_DOUBLE_EQ(factor_of(result.modules.at(id_of(kText))), 0.2 * 0.5)
      << "text encoders have a weight of their own";
}

TEST(LoraMerge, EqualFactorsAreStackedWithoutRounding) {
  const Modules a = first();
  const MergeResult result = merged({{a, 0.5, 0.5, {}}, {a, 0.5, 0.5, {}}});
  const Tensor up = low(result.modules, kQuery).up;
  EXPECT_TRUE(torch::equal(up.narrow(1, 0, 4), low(a, kQuery).up));
  EXPECT_TRUE(torch::equal(up.narrow(1, 4, 4), low(a, kQuery).up));
  EXPECT_LT(distance_squared(result.modules.at(id_of(kQuery)), a.at(id_of(kQuery))),
            1e-24 * norm_squared(a.at(id_of(kQuery))))
      << "0.5 + 0.5 is 1";
}

TEST(LoraMerge, BlockWeightsMultiply) {
  const MergeResult result =
      merged({{first(), 1, 1, parse_block_weights("IN04=0.5,BASE=0,down_blocks.0=2")}});
  EXPECT_DOUBLE_EQ(factor_of(result.modules.at(id_of(kQuery))), 0.25);
  EXPECT_DOUBLE_EQ(factor_of(result.modules.at(id_of(kConvolution))), 2);
  EXPECT_EQ(result.modules.count(id_of(kText)), 0u) << "weight 0 leaves the module out";
}

TEST(LoraMerge, OtherKindsBecomeFullDifferences) {
  torch::manual_seed(23);
  const Tensor diff = torch::randn(shape_in_sdxl(kQuery));
  const Modules full = {{id_of(kQuery), {FullDiff{diff}, {}, {}, {}}}};
  const MergeResult result = merged({{first(), 1, 1, {}}, {full, 2, 2, {}}});
  const Tensor& sum = std::get<FullDiff>(result.modules.at(id_of(kQuery)).weight).diff;
  const Tensor expected = full_delta(first(), kQuery) + diff.to(torch::kDouble) * 2;
  EXPECT_LT(norm_of(sum - expected), 1e-6 * norm_of(expected));
}

TEST(LoraMerge, AtARankTheErrorIsThatOfTheDiscardedSingularValues) {
  const MergeResult result =
      merged({{first(), 1, 1, {}}, {second(), 1, 1, {}}}, RankChoice{RankRule::kFixed, 0, 4});
  double lost = 0, total = 0;
  for (const std::string& name : {kQuery, kOut, kConvolution, kText}) {
    Tensor sum;
    for (const Modules& part : {first(), second()}) {
      if (part.count(id_of(name)) == 0) continue;
      sum = sum.defined() ? sum + full_delta(part, name) : full_delta(part, name);
    }
    const Tensor s = torch::linalg_svdvals(sum);
    const double beyond = s.narrow(0, 4, s.size(0) - 4).square().sum().item<double>();
    EXPECT_NEAR(norm_of(full_delta(result.modules, name) - sum), std::sqrt(beyond),
                1e-6 * norm_of(sum))
        << name;
    lost += beyond;
    total += s.square().sum().item<double>();
  }
  EXPECT_NEAR(result.relative_error(), std::sqrt(lost / total), 1e-9);
  EXPECT_GT(result.relative_error(), 0.1);
}

TEST(LoraMerge, ResizingKeepsFactorsOfThatRankAlready) {
  const MergeResult result = merged({{first(), 1, 1, {}}}, RankChoice{RankRule::kFixed, 0, 3});
  EXPECT_TRUE(torch::equal(low(result.modules, kConvolution).up, low(first(), kConvolution).up));
  EXPECT_EQ(rank_of(result.modules.at(id_of(kQuery))), 3);
  EXPECT_EQ(rank_of(result.modules.at(id_of(kText))), 2);
}

TEST(LoraMerge, ARankThatTheSumDoesNotNeedIsExact) {
  // The same directions twice: rank 8 on paper, 4 in truth.
  const Modules a = first();
  const MergeResult result =
      merged({{a, 0.6, 0.6, {}}, {a, 0.4, 0.4, {}}}, RankChoice{RankRule::kFixed, 0, 4});
  EXPECT_LT(result.relative_error(), 1e-12);
  EXPECT_LT(norm_of(full_delta(result.modules, kQuery) - full_delta(a, kQuery)),
            1e-6 * norm_of(full_delta(a, kQuery)));
}

TEST(LoraMerge, RulesChooseARankPerModule) {
  // Values 1, 1/2, 1/4 of orthogonal directions in one module, equal ones in the other.
  LoraModule falling{LowRank{torch::eye(4, 640), torch::eye(640, 4), {}}, {}, {}, {}};
  std::get<LowRank>(falling.weight).up =
      torch::eye(640, 4) * torch::tensor({1.0F, 0.5F, 0.25F, 0.125F});
  const LoraModule equal{LowRank{torch::eye(4, 640), torch::eye(640, 4), {}}, {}, {}, {}};
  const MergeResult result = merged({{by_id({{kQuery, falling}, {kOut, equal}}), 1, 1, {}}},
                                    RankChoice{RankRule::kRatio, 3, 64});
  EXPECT_EQ(rank_of(result.modules.at(id_of(kQuery))), 2);
  EXPECT_EQ(rank_of(result.modules.at(id_of(kOut))), 4);
}

TEST(LoraMerge, NormsAndBiasesAreAddedAndNotFactorised) {
  const std::string norm = "unet.down_blocks.0.resnets.0.norm1.weight";
  const Modules a = {{id_of(norm), {FullDiff{torch::full({320}, 2.0F)}, {}, {}, {}}}};
  const MergeResult result =
      merged({{a, 1, 1, {}}, {a, 0.5, 0.5, {}}}, RankChoice{RankRule::kFixed, 0, 4});
  const Tensor& sum = std::get<FullDiff>(result.modules.at(id_of(norm)).weight).diff;
  EXPECT_EQ(shape_of(sum), (Shape{320}));
  EXPECT_TRUE(torch::equal(sum, torch::full({320}, 3.0F)));
}

TEST(LoraMerge, WhatCannotBeJoinedIsRefused) {
  Modules dora = first();
  dora.at(id_of(kQuery)).dora_scale = torch::ones({640, 1});
  EXPECT_THAT(testing::message_of<Error>([&] { merged({{dora, 0.5, 1, {}}}); }), HasSubstr("DoRA"));
  EXPECT_NO_THROW(merged({{dora, 1, 1, {}}}));
  EXPECT_THROW(merged({{first(), 0, 0, {}}}), InvalidRequest);
  for (const auto& [kind, module] : weight_dependent_modules()) {
    const Modules alone = by_id({{kQuery, module}});
    EXPECT_THAT(testing::message_of<Error>([&] {
                  merged({{alone, 1, 1, {}}, {second(), 1, 1, {}}});
                }),
                HasSubstr(kind + " is no sum of differences"));
    EXPECT_EQ(merged({{alone, 1, 1, {}}}).modules.size(), 1u) << kind;
    const MergeResult resized = merged({{alone, 1, 1, {}}}, RankChoice{RankRule::kFixed, 0, 1});
    EXPECT_EQ(compare_content(resized.modules.begin()->second, module), 0) << kind;
  }
  EXPECT_THROW(merged({{first(), std::nan(""), 1, {}}}), InvalidRequest);
}

TEST(LoraMerge, WeightsGoIntoTheKindsThatAreLinearInThem) {
  torch::manual_seed(23);
  const Tensor w = torch::randn({640, 640});
  for (const auto& [kind, module] : weight_dependent_modules()) {
    const Modules alone = by_id({{kQuery, module}});
    if (kind == "DoRA" || kind == "OFT" || kind == "BOFT") {
      EXPECT_THAT(testing::message_of<Error>([&] {
                    merged({{alone, 0.5, 1, {}}});
                  }),
                  HasSubstr("cannot be weighted"));
      continue;
    }
    const LoraModule half = merged({{alone, 0.5, 1, {}}}).modules.begin()->second;
    EXPECT_TRUE(torch::allclose(change_of(w, {half, 1}), change_of(w, {module, 0.5}), 1e-4, 1e-4))
        << kind;
  }
}

TEST(LoraMerge, BundledEmbeddingsOfAllPartsAreKept) {
  const BundledEmbeddings cat{{"cat", {{"clip_l", torch::ones({2, 4})}}}};
  const BundledEmbeddings dog{{"dog", {{"clip_l", torch::ones({1, 4})}}}};
  MergePart a{first(), 1, 1, {}, cat, "a"}, b{second(), 1, 1, {}, dog, "b"};
  EXPECT_EQ(names_text(merged({a, b}).embeddings), "cat, dog");
  b.embeddings = {{"cat", {{"clip_l", torch::zeros({2, 4})}}}};
  EXPECT_THAT(testing::message_of<InvalidRequest>([&] { merged({a, b}); }), HasSubstr("\"cat\""));
}
}  // namespace
}  // namespace fourstep
