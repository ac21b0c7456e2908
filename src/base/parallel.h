#pragma once
// Loops over the processor's cores. All parallel loops of this program go through parallel_for(),
// so that one test tells whether they really run on several threads.

#include <cstdint>
#include <functional>

namespace fourstep {

/// Runs work(first, last) on neighbouring parts of 0..count-1, one part a thread of libtorch's pool
/// (at::get_num_threads() of them, but no more than count / grain, rounded up). Returns when all
/// are done. Workers see the gradient and inference modes of the caller. Inside of another parallel
/// loop it runs on the calling thread alone.
/// Throws what `work` throws first.
void parallel_for(int64_t count, int64_t grain,
                  const std::function<void(int64_t first, int64_t last)>& work);

/// Which blocks a loop may be cut into.
struct BlockSizes {
  int64_t unit = 1;     ///< lengths are multiples of it
  int64_t largest = 1;  ///< a multiple of unit
};

/// The length of the blocks into which each of `lanes` stretches of `length` items is cut so that
/// parallel_for() over all blocks ends soonest on num_threads threads: the one that leaves the
/// busiest thread the fewest items; of those within 5 %, the longest.
int64_t block_length(int64_t lanes, int64_t length, const BlockSizes& sizes, int64_t num_threads);

}  // namespace fourstep
