#pragma once
// Files that are either whole or absent.

#include <filesystem>
#include <functional>
#include <ostream>
#include <span>

namespace fourstep {

// One process at a time.

/// Holds an exclusive lock on a file, made where it is missing, until it goes out of scope or the
/// process ends in any way; waits while another process, or another FileLock of this one, has it.
/// The file stays behind, empty: removing it would let two processes lock two files of one name.
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

/// Calls `write` with a stream on a temporary file in the folder of `path`, syncs it to disk and
/// renames it to `path`. On any exception or failed write the temporary file is removed and `path`
/// is as it was.
/// Throws Error naming `path` when the folder is missing or not writable, or the disk is full.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(std::ostream&)>& write);

/// What write_atomically() would throw for this path, as far as it is known before there is
/// anything to write: a folder that is missing or not writable, a folder or device in place of the
/// file, a name that the file system does not take.
void check_writable(const std::filesystem::path& path);

}  // namespace fourstep
