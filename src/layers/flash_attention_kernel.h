#pragma once
// The part of flash_attention that is compiled for AVX512-BF16; it must run nowhere else. Plain
// pointers: the file behind it includes no torch. bf16 numbers are their 16 bits.

#include <cstdint>

namespace fourstep::flash {

constexpr int64_t kHeadWidth = 64;
constexpr int64_t kKeyBlock = 64;      ///< keys whose scores are held at once
constexpr int64_t kRowsInFlight = 48;  ///< queries that share each block of keys in cache

/// A matrix of bf16 rows, 64 numbers of each used.
struct Rows {
  const uint16_t* data;
  int64_t stride;  ///< elements from row to row
  int64_t count;
};

/// 32-bit words that pack() writes for one head: keys and values, padded to whole blocks.
int64_t packed_words(int64_t num_keys);

/// Reorders one head's keys and values into the pairs that the dot-product instruction reads.
void pack(const Rows& keys, const Rows& values, uint32_t* packed);

/// One head's output for some query rows: out[i] = softmax(q_i K^T / 8) V. packed: of pack(), for
/// `num_keys` keys. out: rows of 64 bf16, `out_stride` apart.
void attend(const Rows& queries, const uint32_t* packed, int64_t num_keys, uint16_t* out,
            int64_t out_stride);

}  // namespace fourstep::flash
