#pragma once
// numpy's SeedSequence: well mixed 32-bit seeds out of one number, and independent ones for the nodes of a
// tree. Brownian noise takes its seeds from here, as torchsde does.

#include <cstdint>
#include <span>
#include <vector>

namespace fourstep {

struct SeedSequence {
  uint64_t entropy = 0;
  std::vector<uint64_t> spawn_key = {};  ///< where in the tree of sequences; empty: the root
  size_t pool_size = 4;                  ///< words of inner state, at least 4; torchsde uses 24
};

/// The first `count` words of numpy.random.SeedSequence(entropy, spawn_key, pool_size).generate_state().
/// Throws Error for a pool of fewer than 4 words. Source: numpy's documented `SeedSequence`, after O'Neill
/// 2015, "Developing a seed_seq alternative".
std::vector<uint32_t> seed_words(const SeedSequence& sequence, size_t count);

}  // namespace fourstep
