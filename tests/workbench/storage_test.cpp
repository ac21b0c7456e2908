#include "workbench/storage.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "support/files.h"

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

}  // namespace
}  // namespace fourstep
