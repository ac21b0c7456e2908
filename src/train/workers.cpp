#include "train/workers.h"

#include <cstdlib>

#include "base/error.h"
#include "base/fields.h"
#ifdef FOURSTEP_GLOO
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace fourstep {

namespace {

constexpr int64_t kDefaultPort = 29500;  // torchrun's

std::string from_environment_any(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name)) return value;
  }
  return "";
}

int64_t number_of(const char* name, const std::string& text) {
  int64_t value = 0;
  value_from_text(FieldInfo{name, "", "", 0, 1e9}, text, value);
  return value;
}

}  // namespace

#ifdef FOURSTEP_GLOO

struct Workers::Group {
  c10::intrusive_ptr<c10d::Store> store;
  std::unique_ptr<c10d::ProcessGroupGloo> gloo;
};

Workers Workers::from_environment() {
  const std::string rank = from_environment_any({"RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"});
  const std::string size =
      from_environment_any({"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"});
  Workers workers;
  if (rank.empty() || size.empty() || size == "1") return workers;
  workers.rank_ = number_of("RANK", rank);
  workers.size_ = number_of("WORLD_SIZE", size);
  if (workers.rank_ >= workers.size_) {
    throw Error("process {} of {} cannot be; check RANK and WORLD_SIZE", workers.rank_,
                workers.size_);
  }
  std::string address = from_environment_any({"MASTER_ADDR"});
  if (address.empty()) address = "127.0.0.1";
  const std::string port = from_environment_any({"MASTER_PORT"});
  c10d::TCPStoreOptions options;
  options.port =
      static_cast<uint16_t>(port.empty() ? kDefaultPort : number_of("MASTER_PORT", port));
  options.isServer = workers.rank_ == 0;
  options.numWorkers = static_cast<size_t>(workers.size_);
  const auto gloo = c10d::ProcessGroupGloo::Options::create();
  gloo->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
  try {
    const auto store = c10::make_intrusive<c10d::TCPStore>(address, options);
    workers.group_ = std::make_shared<Group>(Group{
        store, std::make_unique<c10d::ProcessGroupGloo>(store, static_cast<int>(workers.rank_),
                                                        static_cast<int>(workers.size_), gloo)});
  } catch (const c10::Error&) {
    throw Error(
        "process {} of {} found no meeting place at {}:{}; are all processes running, and is the "
        "port free?",
        workers.rank_, workers.size_, address, options.port);
  }
  return workers;
}

Tensor Workers::sum(Tensor values) const {
  std::vector<Tensor> list{std::move(values)};
  group_->gloo->allreduce(list)->wait();
  return list.front();
}

#else

struct Workers::Group {};

Workers Workers::from_environment() {
  const std::string size =
      from_environment_any({"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"});
  if (size.empty() || size == "1") return {};
  throw Error("this build has no support for several processes ({} were started)", size);
}

Tensor Workers::sum(Tensor values) const { return values; }

#endif

std::pair<int64_t, int64_t> Workers::part_of(int64_t batch) const {
  if (batch % size_ != 0) {
    throw InvalidRequest("--batch {} cannot be divided among {} processes", batch, size_);
  }
  return {rank_ * (batch / size_), batch / size_};
}

void Workers::average_gradients(const NamedTensors& parameters) const {
  if (size_ == 1) return;
  std::vector<Tensor> gradients, flat;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.grad().defined()) continue;
    gradients.push_back(parameter.grad());
    flat.push_back(parameter.grad().flatten().to(torch::kCPU));
  }
  if (flat.empty()) return;
  const Tensor mean = sum(at::cat(flat)) / static_cast<double>(size_);
  int64_t begin = 0;
  for (Tensor& gradient : gradients) {
    gradient.copy_(mean.narrow(0, begin, gradient.numel()).view(gradient.sizes()));
    begin += gradient.numel();
  }
}

std::vector<double> Workers::average(std::vector<double> values) const {
  if (size_ == 1 || values.empty()) return values;
  Tensor mean =
      sum(at::tensor(values, at::TensorOptions(torch::kFloat64))) / static_cast<double>(size_);
  return {mean.data_ptr<double>(), mean.data_ptr<double>() + mean.numel()};
}

}  // namespace fourstep
