#include "train/workers.h"

#include "base/environment.h"
#include "base/error.h"

namespace fourstep {

Workers Workers::from_environment(torch::Device device) {
  constexpr int64_t kMost = 1'000'000;
  Workers workers;
  const auto size = whole_number_from_environment(
      {"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"}, 1, kMost);
  if (size.value_or(1) == 1) return workers;
  const auto rank =
      whole_number_from_environment({"RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"}, 0, kMost);
  if (!rank) return workers;
  workers.rank_ = *rank;
  workers.size_ = *size;
  if (workers.rank_ >= workers.size_) {
    throw Error("process {} of {} cannot be; check RANK and WORLD_SIZE", workers.rank_,
                workers.size_);
  }
  MeetingPlace place{.rank = workers.rank_, .size = workers.size_};
  const std::string address = text_from_environment({"MASTER_ADDR"});
  if (!address.empty()) place.address = address;
  const auto port = whole_number_from_environment({"MASTER_PORT"}, 1, 65535);
  if (port) place.port = static_cast<uint16_t>(*port);
  workers.group_ = join_processes(place, device);
  return workers;
}

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
    flat.push_back(parameter.grad().flatten());
  }
  if (flat.empty()) return;
  const Tensor mean = group_->sum(at::cat(flat)).div_(static_cast<double>(size_));
  int64_t begin = 0;
  for (Tensor& gradient : gradients) {
    gradient.copy_(mean.narrow(0, begin, gradient.numel()).view(gradient.sizes()));
    begin += gradient.numel();
  }
}

std::vector<double> Workers::average(std::vector<double> values) const {
  if (size_ == 1 || values.empty()) return values;
  const Tensor mean = group_->sum(at::tensor(values, at::TensorOptions(torch::kFloat64)))
                          .div_(static_cast<double>(size_));
  return {mean.data_ptr<double>(), mean.data_ptr<double>() + mean.numel()};
}

}  // namespace fourstep
