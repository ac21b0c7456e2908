#include "base/parallel.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <link.h>

#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/tensor.h"

namespace fourstep {
namespace {

/// Gives libtorch's pool a size for one test.
class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

TEST(ParallelFor, RunsOnAsManyThreadsAsThePoolHas) {
  for (const int count : {2, 4}) {
    const Threads threads(count);
    std::mutex mutex;
    std::set<std::thread::id> seen;
    parallel_for(64, 1, [&](int64_t, int64_t) {
      const std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
    EXPECT_EQ(seen.size(), static_cast<size_t>(count));
  }
}

TEST(ParallelFor, VisitsEachIndexOnceInNoMorePartsThanTheGrainAllows) {
  const Threads threads(4);
  std::vector<int> visits(103);
  std::mutex mutex;
  int num_parts = 0;
  parallel_for(103, 40, [&](int64_t first, int64_t last) {
    const std::lock_guard lock(mutex);
    ++num_parts;
    for (int64_t i = first; i < last; ++i) ++visits[static_cast<size_t>(i)];
  });
  EXPECT_THAT(visits, ::testing::Each(1));
  EXPECT_EQ(num_parts, 3);
}

TEST(ParallelFor, WorkersSeeTheModesOfTheCaller) {
  const Threads threads(2);
  const auto modes = [] {
    std::mutex mutex;
    std::set<std::pair<bool, bool>> seen;
    parallel_for(2, 1, [&](int64_t, int64_t) {
      const std::lock_guard lock(mutex);
      seen.emplace(at::GradMode::is_enabled(), c10::InferenceMode::is_enabled());
    });
    return seen;
  };
  EXPECT_THAT(modes(), ::testing::ElementsAre(std::pair(true, false)));
  const torch::NoGradGuard no_grad;
  EXPECT_THAT(modes(), ::testing::ElementsAre(std::pair(false, false)));
  const c10::InferenceMode inference;
  EXPECT_THAT(modes(), ::testing::ElementsAre(std::pair(false, true)));
}

TEST(ParallelFor, ThrowsWhatAWorkerThrows) {
  const Threads threads(2);
  const auto fail_late = [](int64_t, int64_t last) {
    if (last == 10) throw InvalidRequest("the last part failed");
  };
  EXPECT_THROW(parallel_for(10, 1, fail_late), InvalidRequest);
}

/// A second OpenMP runtime would have a pool of its own, and both together twice the cores'
/// threads.
TEST(ParallelFor, TheProcessHasOneOpenMpRuntime) {
  std::set<std::string> runtimes;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* names) {
        const std::string name = info->dlpi_name;
        const std::string file = name.substr(name.rfind('/') + 1);
        if (file.starts_with("libgomp") || file.starts_with("libomp") ||
            file.starts_with("libiomp")) {
          static_cast<std::set<std::string>*>(names)->insert(name);
        }
        return 0;
      },
      &runtimes);
  EXPECT_EQ(runtimes.size(), 1U) << ::testing::PrintToString(runtimes);
}

/// The share of the threads' time that is used while blocks of equal length are worked on.
double used_share(int64_t lanes, int64_t length, int64_t block, int64_t threads) {
  const int64_t blocks = lanes * ((length + block - 1) / block);
  const int64_t of_busiest = (blocks + threads - 1) / threads * block;
  return static_cast<double>(lanes * length) / static_cast<double>(of_busiest * threads);
}

TEST(BlockLength, KeepsFewAndManyThreadsBusyInAttentionOfSdxl) {
  // Heads and rows of the self-attention at 512 and 1024 px; 48 rows share a block of keys in
  // cache.
  const std::pair<int64_t, int64_t> shapes[] = {{10, 1024}, {20, 256}, {10, 4096}, {20, 1024}};
  for (const auto& [heads, rows] : shapes) {
    for (const int64_t threads : {2, 8, 64}) {
      const int64_t block = block_length(heads, rows, {48, 192}, threads);
      EXPECT_EQ(block % 48, 0);
      EXPECT_LE(block, 192);
      EXPECT_GE(used_share(heads, rows, block, threads), 0.83)
          << heads << " x " << rows << " on " << threads << " in blocks of " << block;
    }
  }
}

TEST(BlockLength, PrefersLongBlocksWhereTheyCostNothing) {
  EXPECT_EQ(block_length(10, 3840, {48, 192}, 2), 192);
  EXPECT_EQ(block_length(1, 96, {48, 192}, 2), 48);   // one block each
  EXPECT_EQ(block_length(1, 10, {48, 192}, 64), 48);  // no shorter ones are allowed
}

}  // namespace
}  // namespace fourstep
