#include "io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <streambuf>
#include <string>
#include <utility>

#include "base/error.h"

namespace fourstep {

namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = 8 << 20;
constexpr std::align_val_t kBlockAlignment{4096};  // what disks ask for

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

  /// past_cache: `data` and the place in the file are aligned; taken as a wish.
  void write(const char* data, size_t num_bytes, bool past_cache) {
    set_past_cache(past_cache);
    while (num_bytes > 0) {
      const ssize_t done = ::write(fd_, data, num_bytes);
      if (done < 0 && errno == EINTR) continue;
      const int error = done < 0 ? errno : 0;
      if ((error == EINVAL || error == EOPNOTSUPP) && is_past_cache_) {
        can_pass_cache_ = false;  // the flag was taken, the write is not
        set_past_cache(false);
        if (!is_past_cache_) continue;
      }
      if (done < 0) fail(final_path_, "cannot write", error);
      data += done;
      num_bytes -= static_cast<size_t>(done);
      if (num_bytes > 0) set_past_cache(false);  // the rest has another alignment
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
    if (wanted == is_past_cache_ || (wanted && !can_pass_cache_)) return;
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
  bool renamed_ = false;
  bool is_past_cache_ = false, can_pass_cache_ = true;
};

/// Writes block by block and throws Error as soon as the disk refuses. Whole blocks go past the page cache where the file
/// system lets them: to copy gigabytes into it takes longer than fast disks do, and drives out what is read meanwhile.
class FileBuffer : public std::streambuf {
 public:
  explicit FileBuffer(TemporaryFile& file)
      : file_(file), block_(static_cast<char*>(::operator new(kBlockBytes, kBlockAlignment))) {
    setp(block_.get(), block_.get() + kBlockBytes);
  }

 protected:
  int sync() override {
    const auto count = static_cast<size_t>(pptr() - pbase());
    is_aligned_ = is_aligned_ && count == kBlockBytes;
    file_.write(pbase(), count, is_aligned_);
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
  bool is_aligned_ = true;  ///< the place in the file where the block goes
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
