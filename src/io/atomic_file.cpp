#include "io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <streambuf>
#include <string>
#include <system_error>
#include <utility>

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

namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = 8 << 20;
constexpr std::align_val_t kBlockAlignment{4096};  // what disks ask for

[[noreturn]] void fail(const fs::path& path, const char* what, int error_number) {
  throw Error("write(\"{}\"): {}: {}", path.string(), what, std::strerror(error_number));
}

/// A new file under a name that nobody uses, open for writing; closed and removed at the end of the
/// scope unless it was renamed.
class TemporaryFile {
 public:
  TemporaryFile(const fs::path& folder, const fs::path& final_path) : final_path_(final_path) {
    constexpr int kAttempts = 1000;
    for (int i = 0; i < kAttempts && fd_ < 0; ++i) {
      path_ = folder / fmt::format(".fourstep-{}-{}.tmp", ::getpid(), i);
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd_ < 0 && errno != EEXIST) fail(final_path_, "cannot write in this folder", errno);
    }
    if (fd_ < 0) fail(final_path_, "cannot find a free temporary name", EEXIST);
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!renamed_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  /// data: aligned where it is a whole block. Such blocks go past the page cache where they begin
  /// at the place of one and the file system lets them: to copy gigabytes into it takes longer than
  /// fast disks do, and drives out what is read meanwhile.
  void write(const char* data, size_t num_bytes) {
    while (num_bytes > 0) {
      const bool is_block = num_bytes == kBlockBytes && position_ % kBlockBytes == 0;
      set_past_cache(is_block && can_pass_cache_);
      const ssize_t done = ::write(fd_, data, num_bytes);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0 && can_pass_cache_ && is_past_cache_ &&
          (errno == EINVAL || errno == EOPNOTSUPP)) {
        can_pass_cache_ = false;  // the flag was taken, the write is not
        continue;
      }
      if (done < 0) fail(final_path_, "cannot write", errno);
      data += done;
      num_bytes -= static_cast<size_t>(done);
      position_ += static_cast<size_t>(done);
    }
  }

  void sync_and_rename(const fs::path& target) {
    if (::fsync(fd_) != 0) fail(final_path_, "cannot write to disk", errno);
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) fail(final_path_, "cannot write to disk", errno);
    if (::rename(path_.c_str(), target.c_str()) != 0) fail(final_path_, "cannot rename", errno);
    renamed_ = true;
  }

 private:
  void set_past_cache(bool wanted) {
#ifdef O_DIRECT
    if (wanted == is_past_cache_) return;
    const int flags = ::fcntl(fd_, F_GETFL);
    if (flags >= 0 && ::fcntl(fd_, F_SETFL, wanted ? flags | O_DIRECT : flags & ~O_DIRECT) == 0) {
      is_past_cache_ = wanted;
    } else {
      can_pass_cache_ = false;
    }
#endif
  }

  fs::path final_path_, path_;
  int fd_ = -1;
  size_t position_ = 0;  ///< bytes written
  bool renamed_ = false;
  bool is_past_cache_ = false, can_pass_cache_ = true;
};

/// Writes block by block and throws Error as soon as the disk refuses.
class FileBuffer : public std::streambuf {
 public:
  explicit FileBuffer(TemporaryFile& file)
      : file_(file), block_(static_cast<char*>(::operator new(kBlockBytes, kBlockAlignment))) {
    setp(block_.get(), block_.get() + kBlockBytes);
  }

 protected:
  int sync() override {
    file_.write(pbase(), static_cast<size_t>(pptr() - pbase()));
    setp(block_.get(), block_.get() + kBlockBytes);
    return 0;
  }
  int_type overflow(int_type c) override {
    sync();
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* data, std::streamsize count) override {
    for (std::streamsize left = count; left > 0;) {
      if (pptr() == epptr()) sync();
      const std::streamsize part = std::min<std::streamsize>(left, epptr() - pptr());
      std::memcpy(pptr(), data, static_cast<size_t>(part));
      pbump(static_cast<int>(part));
      data += part;
      left -= part;
    }
    return count;
  }

 private:
  struct Free {
    void operator()(char* block) const { ::operator delete(block, kBlockAlignment); }
  };

  TemporaryFile& file_;
  std::unique_ptr<char, Free> block_;
};

/// Where the data must go: a link is followed, so that it still is a link afterwards.
fs::path resolve_target(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::is_symlink(path, error) ? fs::weakly_canonical(path, error) : path;
  const fs::file_status status = fs::status(target, error);
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw Error("write(\"{}\"): this is a {}, expected a file name", path.string(),
                fs::is_directory(status) ? "folder" : "device or pipe");
  return target;
}

void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);  // some file systems refuse it for folders; the file itself is safe and in place
  ::close(fd);
}

/// Of `target`; throws Error naming `path` when it is not there.
fs::path folder_of(const fs::path& target, const fs::path& path) {
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw Error("write(\"{}\"): there is no folder \"{}\"; make it first", path.string(),
                folder.string());
  return folder;
}

}  // namespace

void check_writable(const fs::path& path) {
  struct stat ignored {};
  if (::lstat(path.c_str(), &ignored) != 0 && errno == ENAMETOOLONG)
    fail(path, "choose a shorter name", ENAMETOOLONG);
  const TemporaryFile file(folder_of(resolve_target(path), path), path);
}

void write_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  const fs::path target = resolve_target(path);
  const fs::path folder = folder_of(target, path);
  TemporaryFile file(folder, path);
  FileBuffer buffer(file);
  std::ostream stream(&buffer);
  stream.exceptions(std::ios::badbit);  // lets the Error of FileBuffer through
  write(stream);
  stream.flush();
  if (!stream) throw Error("write(\"{}\"): the stream was left in a failed state", path.string());
  file.sync_and_rename(target);
  sync_folder(folder);
}

}  // namespace fourstep
