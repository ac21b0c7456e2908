#include "train/optimizer.h"

#include <ATen/autocast_mode.h>

#include "base/error.h"

namespace fourstep {

AdamW::AdamW(NamedTensors parameters, AdamWOptions options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const auto& [name, parameter] : parameters_) {
    const auto scalar = at::TensorOptions(torch::kFloat32).device(parameter.device());
    moments_[name] = {at::zeros_like(parameter), at::zeros_like(parameter), at::zeros({}, scalar)};
  }
}

void AdamW::step(double learning_rate) {
  std::vector<Tensor> parameters, gradients, exp_avgs, exp_avg_sqs, steps;
  for (auto& [name, parameter] : parameters_) {
    if (!parameter.grad().defined()) continue;
    Moments& moments = moments_.at(name);
    parameters.push_back(parameter.detach());
    gradients.push_back(parameter.grad());
    exp_avgs.push_back(moments.exp_avg);
    exp_avg_sqs.push_back(moments.exp_avg_sq);
    steps.push_back(moments.step);
  }
  if (!parameters.empty()) {
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(parameters, gradients, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, steps,
                      learning_rate, options_.beta1, options_.beta2, options_.weight_decay,
                      options_.eps, /*amsgrad=*/false, /*maximize=*/false);
  }
  clear_gradients(parameters_);
}

NamedTensors AdamW::state() const {
  NamedTensors state;
  for (const auto& [name, moments] : moments_) {
    state[name + ".exp_avg"] = moments.exp_avg;
    state[name + ".exp_avg_sq"] = moments.exp_avg_sq;
    state[name + ".step"] = moments.step;
  }
  return state;
}

void AdamW::load(const NamedTensors& state) {
  copy_tensors(state, this->state(), "optimizer state");
}

double clip_gradients(const NamedTensors& parameters, double max_norm) {
  std::vector<Tensor> gradients;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  if (gradients.empty()) return 0;
  const double norm =
      at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients))).item<double>();
  if (max_norm > 0 && norm > max_norm) at::_foreach_mul_(gradients, max_norm / norm);
  return norm;
}

void clear_gradients(const NamedTensors& parameters) {
  for (const auto& [name, parameter] : parameters) parameter.mutable_grad().reset();
}

void require_gradients(const NamedTensors& parameters, bool is_required) {
  for (const auto& [name, parameter] : parameters) parameter.set_requires_grad(is_required);
}

void update_average(NamedTensors& average, const NamedTensors& parameters, double decay) {
  std::vector<Tensor> averages, values;
  for (auto& [name, value] : average) {
    averages.push_back(value);
    values.push_back(parameters.at(name).detach());
  }
  at::_foreach_lerp_(averages, values, 1 - decay);
}

NamedTensors clone_tensors(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.detach().clone();
  return copies;
}

void copy_tensors(const NamedTensors& values, const NamedTensors& targets,
                  const std::string& what) {
  for (const auto& [name, target] : targets) {
    const auto found = values.find(name);
    if (found == values.end()) {
      throw Error("{}: \"{}\" is missing; was it saved by a run with other settings?", what, name);
    }
    check_shape(found->second, shape_of(target), fmt::format("{}: \"{}\"", what, name));
  }
  const torch::NoGradGuard no_grad;
  for (const auto& [name, target] : targets) target.detach().copy_(aligned(values.at(name)));
}

void check_training_precision(const std::string& precision) {
  if (precision == "fp32" || precision == "bf16") return;
  throw InvalidRequest("--precision \"{}\" is unknown for training; use fp32 or bf16", precision);
}

MixedPrecision::MixedPrecision(const std::string& precision, torch::Device device)
    : device_type_(device.type()), is_on_(precision == "bf16") {
  check_training_precision(precision);
  if (!is_on_) return;
  was_enabled_ = at::autocast::is_autocast_enabled(device_type_);
  dtype_before_ = at::autocast::get_autocast_dtype(device_type_);
  at::autocast::set_autocast_dtype(device_type_, torch::kBFloat16);
  at::autocast::set_autocast_enabled(device_type_, true);
  at::autocast::increment_nesting();
}

MixedPrecision::~MixedPrecision() {
  if (!is_on_) return;
  // The casts of the weights are kept for one forward pass: the next step has other weights.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_type_, was_enabled_);
  at::autocast::set_autocast_dtype(device_type_, dtype_before_);
}

}  // namespace fourstep
