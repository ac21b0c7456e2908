#include "base/parallel.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>

#include <algorithm>
#include <limits>

namespace fourstep {
namespace {

int64_t divided_up(int64_t count, int64_t parts) { return (count + parts - 1) / parts; }

/// Items of the thread with the most blocks; the last block of a stretch counts as a whole one.
int64_t busiest(int64_t lanes, int64_t length, int64_t block, int64_t num_threads) {
  return divided_up(lanes * divided_up(length, block), num_threads) * block;
}

}  // namespace

void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work) {
  const at::ThreadLocalState modes;
  // A template that would run on this thread alone in a build without OpenMP (cmake/Torch.cmake).
  at::parallel_for(0, count, grain, [&](int64_t first, int64_t last) {
    const at::ThreadLocalStateGuard guard(modes);
    work(first, last);
  });
}

int64_t block_length(int64_t lanes, int64_t length, const BlockSizes& sizes, int64_t num_threads) {
  constexpr double kNearlyBest = 1.05;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int64_t block = sizes.unit; block <= sizes.largest; block += sizes.unit) {
    least = std::min(least, busiest(lanes, length, block, num_threads));
  }
  int64_t block = sizes.largest;
  const auto is_good = [&] {
    return static_cast<double>(busiest(lanes, length, block, num_threads)) <=
           kNearlyBest * static_cast<double>(least);
  };
  while (block > sizes.unit && !is_good()) block -= sizes.unit;
  return block;
}

}  // namespace fourstep
