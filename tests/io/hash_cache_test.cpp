#include "io/hashes.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/files.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;
using testing::read_file;
using testing::write_file;

class HashCache : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    file_ = write_file(folder_ / "model.bin", "abc");
    cache_ = folder_ / "deep/hashes.json";
  }

  /// Whether the file had to be read.
  bool reads() {
    bool has_read = false;
    hashes_ = cached_hashes(file_, cache_, [&](uint64_t, uint64_t) { has_read = true; });
    return has_read;
  }

  fs::path folder_, file_, cache_;
  std::optional<FileHashes> hashes_;
};

// FIPS 180-2, appendix B.1: SHA-256 of "abc".
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST_F(HashCache, RunsAtTheSameTimeLoseNoEntry) {
  constexpr int kRuns = 8;
  std::vector<std::thread> runs;
  for (int i = 0; i < kRuns; ++i) {
    runs.emplace_back([&, i] {
      const fs::path file = write_file(folder_ / fmt::format("{}.bin", i), "abc");
      cached_hashes(file, cache_);
    });
  }
  for (std::thread& run : runs) run.join();
  for (int i = 0; i < kRuns; ++i) {
    bool has_read = false;
    cached_hashes(folder_ / fmt::format("{}.bin", i), cache_,
                  [&](uint64_t, uint64_t) { has_read = true; });
    EXPECT_FALSE(has_read) << i;
  }
}

TEST_F(HashCache, AFileIsReadOnce) {
  EXPECT_TRUE(reads());
  EXPECT_EQ(hashes_->sha256, kAbc);
  EXPECT_FALSE(reads());
  EXPECT_EQ(hashes_->sha256, kAbc);
  EXPECT_EQ(hashes_->auto_v2, "ba7816bf8f");
}

TEST_F(HashCache, AChangedFileIsReadAgain) {
  reads();
  write_file(file_, "abcd");
  EXPECT_TRUE(reads());
  EXPECT_NE(hashes_->sha256, kAbc);
}

TEST_F(HashCache, ABrokenCacheCountsAsEmpty) {
  for (const char* text : {"", "{", "[1]", "{\"x\": 3}"}) {
    fs::create_directories(cache_.parent_path());
    write_file(cache_, text);
    EXPECT_TRUE(reads()) << text;
    EXPECT_EQ(hashes_->sha256, kAbc) << text;
  }
}

TEST_F(HashCache, AnEntryWithoutSenseIsNotBelieved) {
  reads();
  std::string text = read_file(cache_);
  const size_t place = text.find(kAbc);
  ASSERT_NE(place, std::string::npos);
  write_file(cache_, text.replace(place, 64, "short"));
  EXPECT_TRUE(reads());
}

TEST_F(HashCache, ACacheThatCannotBeWrittenIsLeftAlone) {
  write_file(folder_ / "deep", "a file where the folder should be");
  EXPECT_TRUE(reads());
  EXPECT_EQ(hashes_->sha256, kAbc);
}

}  // namespace
}  // namespace fourstep
