#include "train/workers.h"

#include "base/error.h"
#ifdef FOURSTEP_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#ifdef FOURSTEP_NCCL
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#if defined(FOURSTEP_GLOO) || defined(FOURSTEP_NCCL)
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace fourstep {

#if defined(FOURSTEP_GLOO) || defined(FOURSTEP_NCCL)

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;

class C10dGroup : public ProcessGroup {
 public:
  C10dGroup(c10::intrusive_ptr<c10d::Backend> backend, torch::Device device)
      : backend_(std::move(backend)), device_(device) {}

  ~C10dGroup() override {
    try {
      backend_->shutdown();  // NCCL's communicators end while the others can still be reached
    } catch (const std::exception& error) {  // the work is done all the same
      TORCH_WARN("the processes did not part in order: ", error.what());
    }
  }

  Tensor sum(Tensor values) override {
    std::vector<Tensor> list{values.to(device_)};
    backend_->allreduce(list)->wait();
    return list.front().to(values.device());
  }

 private:
  c10::intrusive_ptr<c10d::Backend> backend_;
  torch::Device device_;  ///< where the backend wants its tensors
};

#ifdef FOURSTEP_NCCL
std::shared_ptr<ProcessGroup> join_nccl(const Store& store, int rank, int size,
                                        torch::Device device) {
  auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(
      store, rank, size, c10d::ProcessGroupNCCL::Options::create());
  return std::make_shared<C10dGroup>(std::move(backend), device);
}
#endif

#ifdef FOURSTEP_GLOO
std::shared_ptr<ProcessGroup> join_gloo(const Store& store, int rank, int size) {
  const auto options = c10d::ProcessGroupGloo::Options::create();
  options->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
  return std::make_shared<C10dGroup>(
      c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options), torch::kCPU);
}
#endif

std::shared_ptr<ProcessGroup> join(const Store& store, int rank, int size,
                                   [[maybe_unused]] torch::Device device) {
#ifdef FOURSTEP_NCCL
  if (device.is_cuda()) return join_nccl(store, rank, size, device);
#endif
#ifdef FOURSTEP_GLOO
  return join_gloo(store, rank, size);
#else
  throw Error("this build joins processes over NCCL alone, and {} is no GPU; use --device cuda",
              device.str());
#endif
}

}  // namespace

std::shared_ptr<ProcessGroup> join_processes(const MeetingPlace& place, torch::Device device) {
  c10d::TCPStoreOptions options;
  options.port = place.port;
  options.isServer = place.rank == 0;
  options.numWorkers = static_cast<size_t>(place.size);
  Store store;
  try {
    store = c10::make_intrusive<c10d::TCPStore>(place.address, options);
  } catch (const c10::Error&) {
    throw Error(
        "process {} of {} found no meeting place at {}:{}; are all processes running, and is the "
        "port free?",
        place.rank, place.size, place.address, place.port);
  }
  return join(store, static_cast<int>(place.rank), static_cast<int>(place.size), device);
}

#else

std::shared_ptr<ProcessGroup> join_processes(const MeetingPlace& place, torch::Device) {
  throw Error("this build has no support for several processes ({} were started)", place.size);
}

#endif

}  // namespace fourstep
