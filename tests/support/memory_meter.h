#pragma once
// How much memory tensors take while something runs.

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>

namespace fourstep::testing {

/// Counts what tensors of this thread take and give back on the CPU while it lives, the way torch's
/// profiler does.
class MemoryMeter {
 public:
  MemoryMeter()
      : counter_(std::make_shared<Counter>()),
        guard_(c10::DebugInfoKind::PROFILER_STATE, counter_) {}

  /// Beyond what was there at the beginning.
  int64_t peak_bytes() const { return counter_->peak; }
  int64_t current_bytes() const { return counter_->current; }

 private:
  struct Counter : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, int64_t num_bytes, size_t, size_t, c10::Device) override {
      current += num_bytes;
      peak = std::max(peak, current);
    }
    bool memoryProfilingEnabled() const override { return true; }
    int64_t current = 0, peak = 0;
  };
  std::shared_ptr<Counter> counter_;
  c10::DebugInfoGuard guard_;
};

}  // namespace fourstep::testing
