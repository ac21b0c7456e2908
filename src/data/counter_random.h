#pragma once
// Random numbers for data that is made on demand: the same for the same seed, index and purpose on
// every machine and in any order of examples.

#include <cstdint>

namespace fourstep {

/// What the numbers are for: streams of different purposes do not depend on each other.
enum class RandomPurpose : uint32_t { kScene = 0, kCaption = 1, kOrder = 2 };

/// One stream of Philox words (base/noise.h). Whole numbers only, so that nothing hangs on
/// rounding.
class CounterRandom {
 public:
  /// Throws Error when index < 0.
  CounterRandom(uint64_t seed, int64_t index, RandomPurpose purpose);

  /// From 0 to count - 1, count being 1 to 2^32 - 1; uneven by at most count / 2^32.
  int64_t below(int64_t count);

  /// From `first` to `last`, both included.
  int64_t between(int64_t first, int64_t last) { return first + below(last - first + 1); }

  /// True in `share` (0 to 1) of all calls.
  bool chance(double share);

 private:
  uint32_t word();

  uint64_t seed_;
  uint32_t draw_, element_;
};

}  // namespace fourstep
