#include "io/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <atomic>
#include <csignal>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {

namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;
using testing::write_file;

class AtomicFile : public ::testing::Test {
 protected:
  size_t num_files() const {
    const std::filesystem::directory_iterator items(folder_.path());
    return static_cast<size_t>(std::distance(begin(items), end(items)));
  }
  std::string refusal(const std::filesystem::path& path) const {
    return message_of<Error>(
        [&] { write_atomically(path, [](std::ostream& out) { out << "new"; }); });
  }

  testing::TemporaryFolder folder_;
};

TEST_F(AtomicFile, HoldsEverythingWrittenInSmallAndLargePieces) {
  const std::string large(200'000, 'b');
  const auto path = folder_.path() / "file";
  write_atomically(path, [&](std::ostream& out) {
    for (int i = 0; i < 100'000; ++i) out.put('a');
    out << large << 42;
  });
  EXPECT_EQ(read_file(path), std::string(100'000, 'a') + large + "42");
  EXPECT_EQ(num_files(), 1u);
}

TEST_F(AtomicFile, HoldsWhatIsLargerThanABlock) {
  constexpr size_t kPieces = 5, kPieceBytes = 5'000'011;  // blocks of 8 MiB begin within pieces
  const auto path = folder_.path() / "file";
  std::string expected;
  for (size_t i = 0; i < kPieces * kPieceBytes; ++i) {
    expected += static_cast<char>(i % 251);
  }
  for (const size_t num_bytes : {8U << 20, 16U << 20}) {
    write_atomically(path, [&](std::ostream& out) {
      out.write(expected.data(), static_cast<std::streamsize>(num_bytes));
    });
    EXPECT_TRUE(read_file(path) == expected.substr(0, num_bytes)) << num_bytes;
  }
  for (const bool flushes : {false, true}) {
    write_atomically(path, [&](std::ostream& out) {
      for (size_t i = 0; i < kPieces; ++i) {
        out.write(&expected[i * kPieceBytes], kPieceBytes);
        if (flushes) out.flush();
      }
    });
    EXPECT_TRUE(read_file(path) == expected) << flushes;
  }
}

TEST_F(AtomicFile, ReplacesAFileAndFollowsALink) {
  const auto path = write_file(folder_.path() / "file", "old");
  std::filesystem::create_symlink("file", folder_.path() / "link");
  EXPECT_EQ(refusal(folder_.path() / "link"), "");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.path() / "link"));
}

TEST_F(AtomicFile, AnExceptionLeavesTheOldFileAndNothingElse) {
  const auto path = write_file(folder_.path() / "file", "old");
  EXPECT_THROW(write_atomically(path,
                                [](std::ostream& out) {
                                  out << std::string(1 << 20, 'x');
                                  throw Cancelled();
                                }),
               Cancelled);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(num_files(), 1u);
}

TEST_F(AtomicFile, AFailedStreamIsAnError) {
  const auto path = folder_.path() / "file";
  EXPECT_THROW(write_atomically(path, [](std::ostream& out) { out.setstate(std::ios::failbit); }),
               Error);
  EXPECT_EQ(num_files(), 0u);
}

TEST_F(AtomicFile, NamesTheProblemWithTheFolderOrTarget) {
  const auto path = write_file(folder_.path() / "file", "old");
  EXPECT_THAT(refusal(folder_.path() / "missing" / "x"), HasSubstr("there is no folder"));
  EXPECT_THAT(refusal(path / "x"), HasSubstr("there is no folder"));
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("this is a folder"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("device or pipe"));
  EXPECT_THAT(refusal("/proc/x"), HasSubstr("cannot write in this folder"));
}

/// Makes the kernel refuse files beyond `num_bytes` for the life of the object, as a full disk
/// would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t num_bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{num_bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit old_{};
};

TEST_F(AtomicFile, ARefusedWriteLeavesNothing) {
  const auto path = folder_.path() / "file";
  for (const size_t megabytes : {2, 50}) {  // in a part of a block; in several blocks
    std::string message;
    {
      const FileSizeLimit limit((megabytes << 20) / 2 + 1);
      message = message_of<Error>([&] {
        const std::string large(megabytes << 20, 'x');
        write_atomically(path, [&](std::ostream& out) { out << large; });
      });
    }
    EXPECT_THAT(message, HasSubstr("cannot write: File too large"));
    EXPECT_THAT(message, HasSubstr(path.string()));
    EXPECT_EQ(num_files(), 0u);
  }
}

TEST_F(AtomicFile, WhatWillBeRefusedIsKnownBefore) {
  const auto known_before = [&](const std::filesystem::path& path) {
    return message_of<Error>([&] { check_writable(path); });
  };
  std::filesystem::create_directory(folder_.path() / "folder");
  for (const char* name : {"missing/file", "folder"}) {
    EXPECT_NE(refusal(folder_.path() / name), "");
    EXPECT_EQ(known_before(folder_.path() / name), refusal(folder_.path() / name));
  }
  EXPECT_EQ(known_before("/dev/full"), refusal("/dev/full"));
  EXPECT_EQ(known_before(folder_.path() / std::string(255, 'x')), "");
  EXPECT_THAT(known_before(folder_.path() / std::string(256, 'x')), HasSubstr("shorter name"));
  EXPECT_EQ(num_files(), 1u);
}

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
