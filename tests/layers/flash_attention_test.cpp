#include "layers/flash_attention.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

/// Softmax attention in double on the same bf16 inputs.
Tensor exact_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t num_heads) {
  const auto split = [num_heads](const Tensor& t) {
    return t.to(torch::kFloat64).unflatten(-1, {num_heads, 64}).transpose(1, 2);
  };
  const Tensor weights = at::softmax(split(q).matmul(split(k).transpose(-1, -2)) / 8.0, -1);
  return weights.matmul(split(v)).transpose(1, 2).flatten(-2);
}

/// Keys, queries: numbers of rows. spread: standard deviation of the inputs.
void expect_close_to_exact(int64_t queries, int64_t keys, int64_t num_heads, double spread) {
  torch::manual_seed(queries * 131 + keys);
  const auto draw = [&](int64_t rows) {
    return (torch::randn({2, rows, num_heads * 64}) * spread).to(torch::kBFloat16);
  };
  const Tensor q = draw(queries), k = draw(keys), v = draw(keys);
  if (!can_use_flash_attention(q, k, v, num_heads)) GTEST_SKIP() << "no AVX512-BF16 here";
  const Tensor got = flash_attention(q, k, v, num_heads);
  const Tensor expected = exact_attention(q, k, v, num_heads);
  // The output is a mean of values: one bf16 rounding of it and of each weight (2^-9 relative
  // each).
  const double tolerance = expected.abs().max().item<double>() / 128;
  EXPECT_LE((got.to(torch::kFloat64) - expected).abs().max().item<double>(), tolerance)
      << queries << " queries, " << keys << " keys";
}

TEST(FlashAttention, EqualsExactAttentionForAnyNumberOfRowsAndKeys) {
  for (const int64_t queries : {1, 5, 6, 7, 47, 48, 49, 193}) {
    for (const int64_t keys : {1, 13, 63, 64, 65, 77, 128, 200}) {
      expect_close_to_exact(queries, keys, 2, 1.0);
    }
  }
}

TEST(FlashAttention, SurvivesLargeScores) { expect_close_to_exact(64, 256, 1, 20.0); }

TEST(FlashAttention, NanAndInfinityAreNotSwallowed) {
  const Tensor good = torch::randn({1, 70, 64}).to(torch::kBFloat16);
  if (!can_use_flash_attention(good, good, good, 1)) GTEST_SKIP();
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    Tensor broken = good.clone();
    broken[0][3][5] = bad;
    EXPECT_TRUE(flash_attention(broken, good, good, 1)[0][3].isnan().any().item<bool>());
    EXPECT_TRUE(flash_attention(good, broken, good, 1).isnan().any().item<bool>());
    EXPECT_FALSE(flash_attention(good, good, broken, 1).isfinite().all().item<bool>());
  }
}

TEST(FlashAttention, ReadsStridedRows) {
  const Tensor qkv = torch::randn({1, 50, 3 * 128}).to(torch::kBFloat16);
  const auto parts = qkv.chunk(3, -1);
  if (!can_use_flash_attention(parts[0], parts[1], parts[2], 2)) GTEST_SKIP();
  const Tensor strided = flash_attention(parts[0], parts[1], parts[2], 2);
  const Tensor dense =
      flash_attention(parts[0].contiguous(), parts[1].contiguous(), parts[2].contiguous(), 2);
  EXPECT_TRUE(torch::equal(strided, dense));
}

TEST(FlashAttention, LeavesOtherCasesToLibtorch) {
  const Tensor q = torch::randn({1, 4, 128}).to(torch::kBFloat16);
  EXPECT_FALSE(can_use_flash_attention(q, q, q, 1)) << "heads 128 wide";
  EXPECT_FALSE(can_use_flash_attention(q.to(torch::kFloat32), q, q, 2)) << "fp32";
  const Tensor trained = q.clone().requires_grad_(true);
  EXPECT_FALSE(can_use_flash_attention(trained, q, q, 2)) << "a gradient is wanted";
}

}  // namespace
}  // namespace fourstep
