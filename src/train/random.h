#pragma once
// The random numbers of training. Each draw depends on its key alone, not on what was drawn before: a resumed
// run needs no generator state, and a process that holds part of a batch draws the whole and takes its part.

#include <cstdint>
#include <string_view>

#include "base/tensor.h"

namespace fourstep {

/// What one draw is for. Streams are named by their purpose ("dm noise"), so that leaving one out (no GAN,
/// another ratio) shifts no other. Source of that rule: the project's notes on DMD2's random numbers.
struct RandomKey {
  uint64_t seed = 0;
  std::string_view stream;
  int64_t iteration = 0;
};

/// A 64-bit hash of the key, well mixed (splitmix64 over FNV-1a of the name).
uint64_t hash_of(const RandomKey& key);

/// Standard normal numbers, fp32 on the CPU.
Tensor draw_normal(const RandomKey& key, const Shape& shape);

/// Whole numbers low <= n < high, int64 [count] on the CPU.
Tensor draw_integers(const RandomKey& key, int64_t low, int64_t high, int64_t count);

/// Numbers in [0,1), fp32 [count] on the CPU.
Tensor draw_uniform(const RandomKey& key, int64_t count);

}  // namespace fourstep
