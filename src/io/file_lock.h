#pragma once
// One process at a time.

#include <filesystem>

namespace fourstep {

/// Holds an exclusive lock on a file, made where it is missing, until it goes out of scope or the process ends in any
/// way; waits while another process, or another FileLock of this one, has it. The file stays behind, empty: removing it
/// would let two processes lock two files of one name.
class FileLock {
 public:
  /// Throws Error naming the file when it cannot be made or locked.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

}  // namespace fourstep
