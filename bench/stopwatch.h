#pragma once
// Wall time, and how many cores the process kept busy meanwhile.

#include <sys/resource.h>

#include <chrono>

namespace fourstep {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  /// Processor time of all threads over wall time.
  double cores_busy() const { return (processor_seconds() - processor_start_) / seconds(); }

 private:
  static double processor_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double processor_start_ = processor_seconds();
};

}  // namespace fourstep
