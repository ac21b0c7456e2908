#include "io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <streambuf>
#include <string>
#include <utility>

#include "base/error.h"

namespace fourstep {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* what, int error_number) {
  throw Error("write(\"{}\"): {}: {}", path.string(), what, std::strerror(error_number));
}

/// A new file under a name that nobody uses, open for writing; closed and removed at the end of the scope
/// unless it was renamed.
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

  void write(const char* data, size_t num_bytes) {
    while (num_bytes > 0) {
      const ssize_t done = ::write(fd_, data, num_bytes);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail(final_path_, "cannot write", errno);
      data += done;
      num_bytes -= static_cast<size_t>(done);
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
  fs::path final_path_, path_;
  int fd_ = -1;
  bool renamed_ = false;
};

/// Collects small writes, passes large ones through, and throws Error as soon as the disk refuses.
class FileBuffer : public std::streambuf {
 public:
  explicit FileBuffer(TemporaryFile& file) : file_(file) {
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }

 protected:
  int sync() override {
    file_.write(pbase(), static_cast<size_t>(pptr() - pbase()));
    setp(buffer_.data(), buffer_.data() + buffer_.size());
    return 0;
  }
  int_type overflow(int_type c) override {
    sync();
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* data, std::streamsize count) override {
    if (count <= epptr() - pptr()) {
      std::memcpy(pptr(), data, static_cast<size_t>(count));
      pbump(static_cast<int>(count));
    } else {
      sync();
      file_.write(data, static_cast<size_t>(count));
    }
    return count;
  }

 private:
  TemporaryFile& file_;
  std::array<char, 1 << 16> buffer_;
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

}  // namespace

void write_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  const fs::path target = resolve_target(path);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw Error("write(\"{}\"): there is no folder \"{}\"; make it first", path.string(),
                folder.string());
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
