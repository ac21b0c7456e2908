#include "io/file_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

TEST(FileLock, KeepsTheSecondOutUntilTheFirstIsGone) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "one.lock";
  std::atomic<bool> is_inside = false;
  std::thread second;
  {
    const FileLock lock(file);
    second = std::thread([&] {
      const FileLock other(file);
      is_inside = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(is_inside);
  }
  second.join();
  EXPECT_TRUE(is_inside);
}

TEST(FileLock, NamesTheFileThatCannotBeMade) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "no such folder/x.lock";
  try {
    const FileLock lock(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no such folder/x.lock\": cannot be locked"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace fourstep
