#include "base/memory.h"

#include <sys/resource.h>

#include <limits>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace fourstep {

void return_freed_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int kLargestMmapThreshold = 32 << 20;  // glibc takes no more
  mallopt(M_MMAP_THRESHOLD, kLargestMmapThreshold);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 256 << 20);
#endif
}

uint64_t peak_memory_bytes() {
  constexpr uint64_t kUnit = 1024;  // of Linux
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * kUnit;
}

}  // namespace fourstep
