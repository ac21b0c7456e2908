#pragma once
// What the processes of one run talk through: gloo, or NCCL between GPUs. Only its source file sees c10d.

#include <cstdint>
#include <memory>
#include <string>

#include "base/tensor.h"

namespace fourstep {

/// This process among all of them, and where they meet.
struct MeetingPlace {
  int64_t rank = 0, size = 1;
  std::string address = "127.0.0.1";  ///< of rank 0
  uint16_t port = 29500;              ///< torchrun's
};

class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  /// The sum of what all processes bring, on the device of `values`, which may be overwritten. All call it in the same order.
  virtual Tensor sum(Tensor values) = 0;
};

/// NCCL where `device` is a GPU and this build has it, else gloo. Waits until all processes have come.
/// Throws Error when they cannot be reached, or when the build has neither.
std::shared_ptr<ProcessGroup> join_processes(const MeetingPlace& place, torch::Device device);

}  // namespace fourstep
