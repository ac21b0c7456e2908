#include "workbench/storage.h"

#include <gtest/gtest.h>
#include <cmath>

#include "base/error.h"
#include "support/files.h"
#include "workbench/random_lora.h"

namespace fourstep {

namespace {

using testing::bytes_of;

Tensor many(double value) { return torch::full({200000}, value, torch::kFloat); }

double mean_of(const Tensor& tensor) { return tensor.to(torch::kDouble).mean().item<double>(); }

TEST(Storage, NearestIsAPlainCast) {
  const Tensor values = torch::randn({1000});
  for (const auto dtype : {torch::kHalf, torch::kBFloat16, torch::kFloat8_e4m3fn}) {
    EXPECT_EQ(bytes_of(stored(values, dtype, StorageRounding::kNearest, 0)),
              bytes_of(values.to(dtype)));
  }
  EXPECT_EQ(bytes_of(stored(values, torch::kFloat, StorageRounding::kStochastic, 0)),
            bytes_of(values));
}

TEST(Storage, RandomRoundingKeepsTheMeanAndPicksNeighbours) {
  struct Case {
    torch::Dtype dtype;
    double value, spacing;
  };
  const Case cases[] = {{torch::kBFloat16, 1.001, std::ldexp(1, -7)},
                        {torch::kBFloat16, -1.5001, std::ldexp(1, -7)},
                        {torch::kHalf, 0.30001, std::ldexp(1, -12)},
                        {torch::kHalf, 1e-6, std::ldexp(1, -24)},
                        {torch::kFloat8_e4m3fn, 1.03, std::ldexp(1, -3)},
                        {torch::kFloat8_e4m3fn, 0.0031, std::ldexp(1, -9)},
                        {torch::kFloat8_e4m3fn, -0.0155, std::ldexp(1, -9)}};
  for (const Case& c : cases) {
    const Tensor rounded =
        stored(many(c.value), c.dtype, StorageRounding::kStochastic, 5).to(torch::kFloat);
    const double below = std::floor(c.value / c.spacing) * c.spacing;
    EXPECT_TRUE(((rounded == below) | (rounded == below + c.spacing)).all().item<bool>())
        << c.value;
    // Deviation of the mean of 200,000: at most half a spacing / sqrt(200000); five of them.
    EXPECT_NEAR(mean_of(rounded), c.value, 5 * 0.5 * c.spacing / std::sqrt(2e5)) << c.value;
  }
}

TEST(Storage, RandomRoundingLeavesWhatIsOnTheGrid) {
  const Tensor values = torch::randn({5000}).to(torch::kFloat8_e4m3fn).to(torch::kFloat);
  for (const auto dtype : {torch::kBFloat16, torch::kHalf, torch::kFloat8_e4m3fn}) {
    EXPECT_EQ(bytes_of(stored(values, dtype, StorageRounding::kStochastic, 1).to(torch::kFloat)),
              bytes_of(values));
  }
}

TEST(Storage, RandomRoundingFollowsTheSeed) {
  const Tensor values = torch::randn({3000});
  const auto bytes = [&](uint64_t seed) {
    return bytes_of(stored(values, torch::kBFloat16, StorageRounding::kStochastic, seed));
  };
  EXPECT_EQ(bytes(4), bytes(4));
  EXPECT_NE(bytes(4), bytes(5));
}

TEST(Storage, Fp8EndsAtItsLargestValue) {
  const Tensor values = torch::tensor({1000.f, -1000.f, 448.f});
  for (const StorageRounding rounding : {StorageRounding::kNearest, StorageRounding::kStochastic}) {
    const Tensor out = stored(values, torch::kFloat8_e4m3fn, rounding, 0).to(torch::kFloat);
    EXPECT_TRUE(torch::equal(out, torch::tensor({448.f, -448.f, 448.f}))) << out;
  }
}

TEST(Storage, Int8HasOneScalePerRow) {
  const Tensor values =
      torch::tensor({{127.f, 1.4f, -0.6f}, {0.f, 0.f, 0.f}, {1.27f, 0.014f, 0.f}});
  const Tensor expected = torch::tensor({{127.f, 1.f, -1.f}, {0.f, 0.f, 0.f}, {1.27f, 0.01f, 0.f}});
  EXPECT_TRUE(torch::allclose(as_stored(values, Storage::kInt8), expected, 0, 1e-6));
}

TEST(Storage, Fp8IsForMatricesOutsideTheVae) {
  const Tensor matrix = torch::zeros({2, 2}), vector = torch::zeros({2});
  const Tensor ids = torch::zeros({1, 77}, torch::kLong);
  EXPECT_EQ(stored_dtype(matrix, Component::kUnet, Storage::kFp8), torch::kFloat8_e4m3fn);
  EXPECT_EQ(stored_dtype(matrix, Component::kVae, Storage::kFp8), torch::kHalf);
  EXPECT_EQ(stored_dtype(vector, Component::kUnet, Storage::kFp8), torch::kHalf);
  EXPECT_EQ(stored_dtype(ids, Component::kTextEncoder, Storage::kFp16), torch::kLong);
  EXPECT_EQ(stored_dtype(matrix, std::nullopt, std::nullopt), torch::kFloat);
}

TEST(Storage, UnknownWordsAreRefused) {
  EXPECT_THROW(storage_from_text("--dtype", "int8"), InvalidRequest);
  EXPECT_THROW(dtype_of(Storage::kInt8), Error);
  EXPECT_EQ(storage_from_text("--dtype", "fp8"), Storage::kFp8);
  EXPECT_EQ(storage_from_text("--dtype", "bf16"), Storage::kBf16);
}

using testing::random_normal;

struct Row {
  double change;
  double fp16_error, fp16_unchanged, bf16_error, bf16_unchanged;
};

/// A simulation in numpy (weights of deviation 0.03, 1280x1280, rank 64), rounded to three and two
/// digits.
constexpr Row kTable[] = {{0.05, 0.004, 0.00, 0.033, 0.04},
                          {0.01, 0.021, 0.02, 0.166, 0.18},
                          {0.003, 0.069, 0.08, 0.486, 0.48},
                          {0.001, 0.207, 0.22, 0.797, 0.78},
                          {0.0003, 0.562, 0.55, 0.939, 0.93}};

SampledRows simulated(double change, uint64_t seed = 0) {
  const Tensor weight = random_normal({640, 640}, seed + 1) * 0.03;
  const Tensor product =
      torch::mm(random_normal({640, 64}, seed + 2), random_normal({64, 640}, seed + 3));
  return {weight, product * (change * weight.norm() / product.norm()), 1};
}

TEST(RoundingLoss, LossesAreThoseOfTheSimulation) {
  for (const Row& row : kTable) {
    const SampledRows rows = simulated(row.change);
    const RoundingLoss fp16 = rounding_loss(rows.weight, rows.change, Storage::kFp16);
    const RoundingLoss bf16 = rounding_loss(rows.weight, rows.change, Storage::kBf16);
    EXPECT_NEAR(fp16.error, row.fp16_error, 0.0005 + 0.02 * row.fp16_error) << row.change;
    EXPECT_NEAR(bf16.error, row.bf16_error, 0.0005 + 0.02 * row.bf16_error) << row.change;
    EXPECT_NEAR(fp16.unchanged, row.fp16_unchanged, 0.01) << row.change;
    EXPECT_NEAR(bf16.unchanged, row.bf16_unchanged, 0.01) << row.change;
  }
}

/// The same simulation: what a merge at 0.7 shows in bf16.
TEST(RoundingLoss, StrengthThatArrivesIsThatOfTheSimulation) {
  const auto shown = [](double change, Storage storage) {
    return 0.7 * mean_rounding_loss({simulated(change)}, 0.7, storage).arrived;
  };
  EXPECT_NEAR(shown(0.01, Storage::kFp16), 0.700, 0.002);
  EXPECT_NEAR(shown(0.01, Storage::kBf16), 0.698, 0.004);
  EXPECT_NEAR(shown(0.001, Storage::kFp16), 0.695, 0.004);
  EXPECT_NEAR(shown(0.001, Storage::kBf16), 0.270, 0.02);
  EXPECT_NEAR(shown(0.0003, Storage::kFp16), 0.517, 0.02);
}

std::vector<SampledRows> several(double change) {
  std::vector<SampledRows> samples;
  for (uint64_t seed = 0; seed < 6; ++seed) samples.push_back(simulated(change, 10 * seed));
  return samples;
}

TEST(RoundingLoss, WhatWasLostIsAddedAgain) {
  const std::vector<SampledRows> samples = several(0.001), others = several(0.001);
  for (const double strength : {0.5, 1.0, -0.7}) {
    const double shown = strength * mean_rounding_loss(others, strength, Storage::kBf16).arrived;
    ASSERT_LT(std::abs(shown), 0.6 * std::abs(strength));
    const StrengthRange range =
        range_before_rounding(samples, {shown, 0.001, 0, 6}, Storage::kBf16);
    const double far = strength < 0 ? -range.low : range.high;
    EXPECT_GE(far, std::abs(strength));
    EXPECT_LE(far, std::abs(strength) + 0.05);
    EXPECT_NEAR(strength < 0 ? range.high : range.low, shown, 0.0011);
  }
}

/// What is swallowed whole could have been there, on either side of nothing.
TEST(RoundingLoss, NothingThatShowsMayHideSomething) {
  const StrengthRange range = range_before_rounding(several(0.001), {0, 1e-4, 0, 6}, Storage::kFp8);
  EXPECT_GT(range.high, 0.3);
  EXPECT_LT(range.low, -0.3);
  const StrengthRange none = range_before_rounding(several(0.1), {0, 1e-4, 0, 6}, Storage::kFp16);
  EXPECT_LT(none.high, 0.002);
}

/// As in models with a weight that is nearly zero: the bar of the mean of such samples is without
/// bounds.
TEST(RoundingLoss, OneModuleThatOutweighsAllHidesNothing) {
  std::vector<SampledRows> samples = several(0.01);
  samples[0].share = 1e6;
  const StrengthRange none = range_before_rounding(samples, {0, 1e-4, 0, 6}, Storage::kFp16);
  EXPECT_LT(none.high, 0.05);
  EXPECT_GT(none.low, -0.05);
}

/// The formula against merges of small changes into weights that are on no grid.
TEST(RoundingLoss, FinerWeightsLoseAFixedShareInTheMean) {
  for (const Storage storage : {Storage::kFp8, Storage::kBf16}) {
    double moved = 0, whole = 0;
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const Tensor weight = random_normal({1000, 4000}, seed);
      const Tensor change = random_normal({1000, 4000}, seed + 10) * 0.1;
      const Tensor arrived =
          as_stored(weight + change, storage) - as_stored(weight - change, storage);
      moved += (arrived * change).sum(torch::kDouble).item<double>();
      whole += 2 * change.square().sum(torch::kDouble).item<double>();
    }
    const StrengthRange range = range_before_mean_loss({0.8, 0.01, 0, 9}, storage);
    EXPECT_NEAR(range.high / 0.81, whole / moved, 1e-4);
    EXPECT_DOUBLE_EQ(range.low, 0.79);
  }
}

TEST(RoundingLoss, NothingIsLostInFp32AndOfNothing) {
  const SampledRows rows = simulated(0.01);
  EXPECT_NEAR(rounding_loss(rows.weight, rows.change, Storage::kFp32).error, 0, 1e-5);
  EXPECT_EQ(rounding_loss(rows.weight, rows.change * 0, Storage::kFp16).arrived, 1);
}

TEST(RoundingLoss, RowsComeFromTheMiddle) {
  const LoraModule module{
      LowRank{random_normal({2, 6}, 2), random_normal({10, 2}, 3), {}}, {}, {}, {}};
  const Tensor weight = random_normal({10, 6}, 1);
  const SampledRows rows = sample_rows(weight, module, 4);
  EXPECT_TRUE(torch::equal(rows.weight, weight.narrow(0, 3, 4)));
  EXPECT_TRUE(torch::allclose(rows.change, delta(module, {10, 6}).narrow(0, 3, 4)));
}

}  // namespace

}  // namespace fourstep
