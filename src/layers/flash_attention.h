#pragma once
// Attention in bf16 on processors with AVX512-BF16, several times faster than libtorch's kernel
// there: the scores of a block of keys never leave the registers and the level-1 cache.
// Source of the method: online softmax over blocks, FlashAttention (Dao et al. 2022, 2205.14135),
// alg. 1.

#include "base/tensor.h"

namespace fourstep {

/// Whether flash_attention() can run: this processor has AVX512-BF16, the tensors are bf16 on the
/// CPU with heads 64 wide and dense channels, and no gradient is wanted.
bool can_use_flash_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t num_heads);

/// softmax(q k^T / 8) v per head of 64 channels, sums in fp32. q: [B,Lq,C]; k, v: [B,Lk,C] bf16, C
/// = 64 * num_heads, rows may be strided. Returns [B,Lq,C] bf16.
Tensor flash_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t num_heads);

}  // namespace fourstep
