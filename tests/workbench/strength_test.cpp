#include "workbench/strength.h"

#include <gtest/gtest.h>
#include <cmath>

#include "base/error.h"
#include "lora/fuse.h"
#include "workbench/detect.h"
#include "workbench/random_lora.h"

namespace fourstep {

namespace {

std::vector<ModuleStrength> modules_of(const std::vector<double>& strengths) {
  std::vector<ModuleStrength> modules;
  for (const double strength : strengths) modules.push_back({{}, strength, 1});
  return modules;
}

TEST(Strength, StudentQuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(student_quantile(3), 3.182, 0.03);
  EXPECT_NEAR(student_quantile(5), 2.571, 0.01);
  EXPECT_NEAR(student_quantile(10), 2.228, 0.002);
  EXPECT_NEAR(student_quantile(30), 2.042, 0.001);
  EXPECT_NEAR(student_quantile(1e9), 1.960, 0.001);
}

TEST(Strength, EqualModulesHaveNoErrorBar) {
  const StrengthEstimate estimate = pooled(modules_of({0.7, 0.7, 0.7}));
  EXPECT_DOUBLE_EQ(estimate.strength, 0.7);
  EXPECT_NEAR(estimate.error, 0, 1e-12);
  EXPECT_EQ(estimate.num_modules, 3U);
}

TEST(Strength, OneModuleCannotTellItsError) {
  const StrengthEstimate estimate = pooled(modules_of({0.7}));
  EXPECT_DOUBLE_EQ(estimate.strength, 0.7);
  EXPECT_TRUE(std::isinf(estimate.error));
  EXPECT_THROW(pooled({}), Error);
}

TEST(Strength, OutliersHardlyMoveTheEstimate) {
  std::vector<double> strengths;
  for (int i = 0; i < 101; ++i) strengths.push_back(0.5 + 0.0001 * (i - 50));
  strengths.insert(strengths.end(), {100, 80, 60});
  EXPECT_NEAR(pooled(modules_of(strengths)).strength, 0.5, 0.001);
}

TEST(Strength, InformativeModulesCountMore) {
  std::vector<ModuleStrength> modules = modules_of({0.0, 0.0, 1.0, 1.0});
  modules[2].information = modules[3].information = 1e6;
  EXPECT_NEAR(pooled(modules).strength, 1, 1e-3);
}

/// The error bar of a mean of normal numbers is known: 1.96 / sqrt(n) of their deviation.
TEST(Strength, ErrorBarIsThatOfTheMean) {
  const Tensor noise = torch::randn({4000}, torch::make_generator<at::CPUGeneratorImpl>(3));
  std::vector<ModuleStrength> modules;
  for (int64_t i = 0; i < noise.size(0); ++i) {
    const double deviation = i % 2 == 0 ? 0.1 : 1;
    modules.push_back({{}, 0.3 + deviation * noise[i].item<double>(), 1 / (deviation * deviation)});
  }
  const StrengthEstimate estimate = pooled(modules);
  const double expected = 1.96 / std::sqrt(2000 / 0.01 + 2000);
  EXPECT_NEAR(estimate.error, expected, 0.1 * expected);
  EXPECT_NEAR(estimate.scatter, 1, 0.05);
  EXPECT_NEAR(estimate.strength, 0.3, 2 * expected);
}

/// Noise of modules is not normal where another LoRA lies in the same weights: some are far off, as
/// of Student's distribution with two degrees of freedom.
TEST(Strength, ErrorBarsCoverTheTruthWithHeavyTails) {
  constexpr int kTrials = 400, kModules = 200;
  auto generator = torch::make_generator<at::CPUGeneratorImpl>(5);
  const Tensor noise = torch::randn({kTrials, kModules}, generator);
  const Tensor width = torch::randn({kTrials, kModules, 2}, generator).square().mean(2).sqrt();
  const Tensor strengths = 0.7 + 0.1 * noise / width;
  int num_covered = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const float* row = strengths[trial].data_ptr<float>();
    const StrengthEstimate estimate = pooled(modules_of(std::vector<double>(row, row + kModules)));
    if (std::abs(estimate.strength - 0.7) <= estimate.error) ++num_covered;
  }
  EXPECT_GE(num_covered, 0.93 * kTrials);
  EXPECT_LE(num_covered, 0.98 * kTrials);
}

TEST(Strength, VerdictsFollowTheInterval) {
  EXPECT_EQ(verdict_of({0.01, 0.004, 0, 9}), Verdict::kNone);
  EXPECT_EQ(verdict_of({0.2, 0.01, 0, 9}), Verdict::kPartial);
  EXPECT_EQ(verdict_of({0.2, 0.25, 0, 9}), Verdict::kNone);
  EXPECT_EQ(verdict_of({0.98, 0.01, 0, 9}), Verdict::kFull);
  EXPECT_EQ(verdict_of({1.2, 0.01, 0, 9}), Verdict::kMore);
  EXPECT_EQ(verdict_of({-0.25, 0.01, 0, 9}), Verdict::kNegative);
  EXPECT_EQ(verdict_of({0.5, 0.6, 0, 9}), Verdict::kUnclear);
  EXPECT_EQ(verdict_of({0.5, INFINITY, 0, 1}), Verdict::kUnclear);
}

using testing::random_normal;

double product(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kDouble) * b.to(torch::kDouble)).sum().item<double>();
}

/// Against the difference multiplied out.
void expect_projection(const LoraModule& module, const Shape& shape) {
  const Tensor weight = random_normal(shape, 1), change = delta(module, shape);
  const Projection p = project(weight, module);
  const double scale = (weight.norm() * change.norm()).item<double>();
  EXPECT_NEAR(p.dot, product(weight, change), 1e-6 * scale);
  EXPECT_NEAR(p.delta_norm2 / product(change, change), 1, 1e-5);
  EXPECT_NEAR(p.weight_norm2 / product(weight, weight), 1, 1e-6);
  EXPECT_EQ(p.num_elements, weight.numel());
}

TEST(Projection, LowRankNeedsNoFullDifference) {
  expect_projection({LowRank{random_normal({4, 60}, 2), random_normal({50, 4}, 3), {}}, {}, 2, {}},
                    {50, 60});
}

/// More rows than are looked at together.
TEST(Projection, LargeWeightsAreSummedBlockByBlock) {
  expect_projection(
      {LowRank{random_normal({4, 700}, 2), random_normal({3100, 4}, 3), {}}, {}, 2, {}},
      {3100, 700});
  const Tensor weight = random_normal({3100, 700}, 1);
  EXPECT_NEAR(weight_norm2(weight.to(torch::kHalf)) / product(weight, weight), 1, 1e-5);
}

TEST(Projection, ConvolutionsCountAllTheirElements) {
  expect_projection(
      {LowRank{random_normal({4, 6, 3, 3}, 2), random_normal({8, 4, 1, 1}, 3), {}}, {}, 2, {}},
      {8, 6, 3, 3});
}

TEST(Projection, OtherKindsAreMultipliedOut) {
  expect_projection({LowRank{random_normal({4, 6, 1, 1}, 2), random_normal({8, 4, 1, 1}, 3),
                             random_normal({4, 4, 3, 3}, 4)},
                     {},
                     {},
                     {}},
                    {8, 6, 3, 3});
  expect_projection({LoHa{random_normal({8, 3}, 2),
                          random_normal({3, 6}, 3),
                          {},
                          random_normal({8, 3}, 4),
                          random_normal({3, 6}, 5),
                          {}},
                     {},
                     {},
                     {}},
                    {8, 6});
  expect_projection({FullDiff{random_normal({8}, 2)}, {}, {}, {}}, {8});
}

TEST(Projection, OfADifferenceIsTheStrength) {
  const LoraModule module{
      LowRank{random_normal({4, 60}, 2), random_normal({50, 4}, 3), {}}, {}, 2, {}};
  const Tensor base = random_normal({50, 60}, 1);
  const Projection p = project_difference(base + delta(module, {50, 60}) * 0.7, base, module);
  EXPECT_NEAR(p.dot / p.delta_norm2, 0.7, 1e-5);
  EXPECT_THROW(project_difference(base, random_normal({50, 61}, 1), module), Error);
  EXPECT_THROW(project(random_normal({40, 60}, 1), module), Error);
}

}  // namespace

}  // namespace fourstep
