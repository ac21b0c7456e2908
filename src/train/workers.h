#pragma once
// Several processes that train one network: each works on its part of every batch, gradients are
// averaged.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/tensor.h"

namespace fourstep {

class ProcessGroup;

/// One of `size` processes; by default the only one. All must make the same calls in the same
/// order.
class Workers {
 public:
  Workers() = default;

  /// What torchrun (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), Open MPI (OMPI_COMM_WORLD_RANK,
  /// _SIZE) or Slurm (SLURM_PROCID, SLURM_NTASKS) say; the only process without them. Waits until
  /// all have come.
  /// device: of the gradients; between GPUs they are averaged over NCCL where the build has it,
  /// else over gloo.
  /// Throws Error when the numbers make no sense, or the others cannot be reached.
  static Workers from_environment(torch::Device device = torch::kCPU);

  int64_t rank() const { return rank_; }
  int64_t size() const { return size_; }
  bool is_first() const { return rank_ == 0; }

  /// First sample and number of samples of this process. Throws InvalidRequest when `batch` cannot
  /// be divided evenly.
  std::pair<int64_t, int64_t> part_of(int64_t batch) const;

  /// Replaces each gradient by its mean over all processes; one message for all of them.
  void average_gradients(const NamedTensors& parameters) const;

  /// The means of some numbers over all processes.
  std::vector<double> average(std::vector<double> values) const;

 private:
  int64_t rank_ = 0, size_ = 1;
  std::shared_ptr<ProcessGroup> group_;  ///< null for the only process
};

// What the processes of one run talk through: gloo, or NCCL between GPUs. Only its source file sees
// c10d.

/// This process among all of them, and where they meet.
struct MeetingPlace {
  int64_t rank = 0, size = 1;
  std::string address = "127.0.0.1";  ///< of rank 0
  uint16_t port = 29500;              ///< torchrun's
};

class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  /// The sum of what all processes bring, on the device of `values`, which may be overwritten. All
  /// call it in the same order.
  virtual Tensor sum(Tensor values) = 0;
};

/// NCCL where `device` is a GPU and this build has it, else gloo. Waits until all processes have
/// come.
/// Throws Error when they cannot be reached, or when the build has neither.
std::shared_ptr<ProcessGroup> join_processes(const MeetingPlace& place, torch::Device device);

}  // namespace fourstep
