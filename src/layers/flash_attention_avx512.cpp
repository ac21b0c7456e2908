// Compiled with AVX512-BF16 enabled (see CMakeLists.txt); called only where the processor has it.

#include "layers/flash_attention_kernel.h"

#if defined(__AVX512BF16__)

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fourstep::flash {

namespace {

constexpr int kLanes = 16;                       // fp32 numbers in a register
constexpr int kTileRows = 6;                     // 6 x 4 accumulators leave 8 of 32 registers free
constexpr int kPairs = kHeadWidth / 2;           // bf16 pairs in a row
constexpr int kVectors = kHeadWidth / kLanes;    // registers in a row of outputs
constexpr int kBlockWords = kPairs * kKeyBlock;  // one packed block of keys, or of values
static_assert(kRowsInFlight % kTileRows == 0);
constexpr float kScaleLog2 = 0.125f * 1.44269504f;  // 1/sqrt(64) and e^x = 2^(x log2 e)
constexpr float kMasked = -1e30f;

using Accumulators = __m512[kTileRows][kVectors];

/// 2^x for x <= 0, relative error below 3e-6: the fraction by a polynomial (Taylor coefficients
/// adjusted at the top end), the whole part by scaling.
inline __m512 exp2_negative(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-126.f), x);  // in this order NaN stays NaN
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 part = _mm512_sub_ps(x, whole);
  __m512 p = _mm512_set1_ps(0.0096181291f);
  p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(0.0555041087f));
  p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(0.2402265070f));
  p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(0.6931471806f));
  p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(1.f));
  return _mm512_scalef_ps(p, whole);
}

/// acc[r][v] += rows of `a` (pairs, `a_stride` words apart) times the packed block `b`: `pairs` x
/// 64.
inline void multiply_tile(const uint32_t* a, int64_t a_stride, const uint32_t* b, int pairs,
                          Accumulators& acc) {
  for (int k = 0; k < pairs; ++k) {
    __m512bh column[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      column[v] = (__m512bh)_mm512_loadu_si512(b + k * kKeyBlock + v * kLanes);
    }
#pragma GCC unroll 6
    for (int r = 0; r < kTileRows; ++r) {
      const auto pair = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r * a_stride + k]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], pair, column[v]);
    }
  }
}

inline void clear(Accumulators& acc) {
  for (auto& row : acc) {
    for (auto& vector : row) vector = _mm512_setzero_ps();
  }
}

/// Scores of padding keys become so low that their weight is 0.
inline void mask_padding(Accumulators& scores, int64_t valid_keys) {
  for (int v = 0; v < kVectors; ++v) {
    const int64_t valid = std::clamp<int64_t>(valid_keys - v * kLanes, 0, kLanes);
    const auto padding = static_cast<__mmask16>(0xFFFFu << valid);
    for (auto& row : scores) {
      row[v] = _mm512_mask_mov_ps(row[v], padding, _mm512_set1_ps(kMasked));
    }
  }
}

/// Running state of the queries in flight: weighted sums of values, largest score, sum of weights.
struct State {
  alignas(64) float sum[kRowsInFlight][kHeadWidth];
  float largest[kRowsInFlight];
  float weight[kRowsInFlight];
};

/// One row's scores of a block become bf16 weights relative to the largest score so far; what was
/// summed relative to an older, lower one is scaled down.
inline void weigh_row(const __m512 (&scores)[kVectors], State& state, int row, uint16_t* weights) {
  const __m512 top =
      _mm512_max_ps(_mm512_max_ps(scores[0], scores[1]), _mm512_max_ps(scores[2], scores[3]));
  const float largest = _mm512_reduce_max_ps(top) * kScaleLog2;
  if (largest > state.largest[row]) {
    const float shrink = std::exp2(state.largest[row] - largest);
    state.largest[row] = largest;
    state.weight[row] *= shrink;
    for (int v = 0; v < kVectors; ++v) {
      float* sum = state.sum[row] + v * kLanes;
      _mm512_store_ps(sum, _mm512_mul_ps(_mm512_load_ps(sum), _mm512_set1_ps(shrink)));
    }
  }
  const __m512 scale = _mm512_set1_ps(kScaleLog2), offset = _mm512_set1_ps(-state.largest[row]);
  __m512 e[kVectors];
  for (int v = 0; v < kVectors; ++v)
    e[v] = exp2_negative(_mm512_fmadd_ps(scores[v], scale, offset));
  state.weight[row] +=
      _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(e[0], e[1]), _mm512_add_ps(e[2], e[3])));
  _mm512_store_si512(weights, (__m512i)_mm512_cvtne2ps_pbh(e[1], e[0]));
  _mm512_store_si512(weights + 2 * kLanes, (__m512i)_mm512_cvtne2ps_pbh(e[3], e[2]));
}

/// Adds one block of keys and values to six queries.
inline void add_block(const uint32_t* queries, int64_t stride, const uint32_t* block,
                      int64_t valid_keys, State& state, int first_row) {
  Accumulators acc;
  clear(acc);
  multiply_tile(queries, stride, block, kPairs, acc);
  if (valid_keys < kKeyBlock) mask_padding(acc, valid_keys);
  alignas(64) uint16_t weights[kTileRows][kKeyBlock];
#pragma GCC unroll 6
  for (int r = 0; r < kTileRows; ++r) weigh_row(acc[r], state, first_row + r, weights[r]);
  for (int r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      acc[r][v] = _mm512_load_ps(state.sum[first_row + r] + v * kLanes);
    }
  }
  // Pairs of padding keys carry weight 0: skip them.
  const int pairs = static_cast<int>((std::min(valid_keys, kKeyBlock) + 1) / 2);
  multiply_tile(reinterpret_cast<const uint32_t*>(weights), kPairs, block + kBlockWords, pairs,
                acc);
  for (int r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      _mm512_store_ps(state.sum[first_row + r] + v * kLanes, acc[r][v]);
    }
  }
}

/// Writes sum / weight of `rows` queries as bf16.
inline void write_rows(const State& state, int64_t rows, uint16_t* out, int64_t out_stride) {
  for (int64_t r = 0; r < rows; ++r) {
    const __m512 inverse = _mm512_set1_ps(1 / state.weight[r]);
    for (int v = 0; v < kVectors; v += 2) {
      const float* sum = state.sum[r] + v * kLanes;
      const __m512 low = _mm512_mul_ps(_mm512_load_ps(sum), inverse);
      const __m512 high = _mm512_mul_ps(_mm512_load_ps(sum + kLanes), inverse);
      _mm512_storeu_si512(out + r * out_stride + v * kLanes,
                          (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
  }
}

inline uint32_t pair_at(const uint16_t* numbers) {
  uint32_t pair;
  std::memcpy(&pair, numbers, sizeof(pair));
  return pair;
}

inline void pack_block(const Rows& keys, const Rows& values, int64_t first, uint32_t* out) {
  const int64_t valid = std::min<int64_t>(kKeyBlock, keys.count - first);
  if (valid < kKeyBlock) std::memset(out, 0, 2 * kBlockWords * sizeof(uint32_t));
  for (int64_t j = 0; j < valid; ++j) {
    const uint16_t* key = keys.data + (first + j) * keys.stride;
    for (int p = 0; p < kPairs; ++p) out[p * kKeyBlock + j] = pair_at(key + 2 * p);
  }
  uint32_t* pairs = out + kBlockWords;  // [key pair][channel]: the two keys' numbers of one channel
  for (int64_t j = 0; j < valid; j += 2) {
    const uint16_t* even = values.data + (first + j) * values.stride;
    const bool has_odd = j + 1 < valid;
    for (int c = 0; c < kHeadWidth; ++c) {
      const uint32_t odd = has_odd ? even[values.stride + c] : 0;
      pairs[j / 2 * kKeyBlock + c] = even[c] | odd << 16;
    }
  }
}

/// At most kRowsInFlight queries, all rows of whole tiles readable.
void attend_in_flight(const Rows& queries, const uint32_t* packed, int64_t num_keys, State& state) {
  std::memset(state.sum, 0, sizeof(state.sum));
  std::fill_n(state.largest, kRowsInFlight, -INFINITY);
  std::fill_n(state.weight, kRowsInFlight, 0.f);
  for (int64_t first = 0; first < num_keys; first += kKeyBlock) {
    const uint32_t* block = packed + first / kKeyBlock * 2 * kBlockWords;
    for (int64_t row = 0; row < queries.count; row += kTileRows) {
      const auto* tile = reinterpret_cast<const uint32_t*>(queries.data + row * queries.stride);
      add_block(tile, queries.stride / 2, block, num_keys - first, state, static_cast<int>(row));
    }
  }
}

}  // namespace

int64_t packed_words(int64_t num_keys) {
  return (num_keys + kKeyBlock - 1) / kKeyBlock * 2 * kBlockWords;
}

void pack(const Rows& keys, const Rows& values, uint32_t* packed) {
  for (int64_t first = 0; first < keys.count; first += kKeyBlock) {
    pack_block(keys, values, first, packed + first / kKeyBlock * 2 * kBlockWords);
  }
}

void attend(const Rows& queries, const uint32_t* packed, int64_t num_keys, uint16_t* out,
            int64_t out_stride) {
  State state;
  for (int64_t row = 0; row < queries.count; row += kRowsInFlight) {
    const int64_t rows = std::min<int64_t>(kRowsInFlight, queries.count - row);
    Rows part{queries.data + row * queries.stride, queries.stride, rows};
    alignas(64) uint16_t padded[kRowsInFlight * kHeadWidth];
    if (rows % kTileRows != 0) {  // the last tile would read past the end: work on a padded copy
      std::memset(padded, 0, sizeof(padded));
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(padded + r * kHeadWidth, part.data + r * part.stride, kHeadWidth * 2);
      }
      part = {padded, kHeadWidth, rows};
    }
    attend_in_flight(part, packed, num_keys, state);
    write_rows(state, rows, out + row * out_stride, out_stride);
  }
}

}  // namespace fourstep::flash

// a processor family without these instructions: can_use_flash_attention() never says yes there
#else

namespace fourstep::flash {
int64_t packed_words(int64_t) { return 0; }
void pack(const Rows&, const Rows&, uint32_t*) {}
void attend(const Rows&, const uint32_t*, int64_t, uint16_t*, int64_t) {}
}  // namespace fourstep::flash

#endif
