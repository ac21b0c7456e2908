#include "io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"

namespace fourstep {
namespace {

/// Waits for the lock; errno tells why when false comes back.
bool lock_exclusively(int fd) {
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

[[noreturn]] void throw_no_lock(const std::filesystem::path& path, int error) {
  throw Error("\"{}\": cannot be locked ({})", path.string(),
              std::generic_category().message(error));
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path)
    : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (fd_ < 0) throw_no_lock(path, errno);
  if (lock_exclusively(fd_)) return;
  const int error = errno;
  ::close(fd_);
  throw_no_lock(path, error);
}

FileLock::~FileLock() { ::close(fd_); }

}  // namespace fourstep
