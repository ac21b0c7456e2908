#pragma once
// AdamW, gradient clipping and weight averages over named parameters, with a state that can be
// saved.

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

/// Source: Loshchilov and Hutter 2019 (1711.05101), algorithm 2, as torch.optim.AdamW has it.
class AdamW {
 public:
  /// parameters: fp32 leaves that require gradients; kept by reference (tensors share their
  /// memory).
  AdamW(NamedTensors parameters, AdamWOptions options);

  /// One update from the parameters' gradients, which are cleared. Parameters without gradient
  /// stay.
  void step(double learning_rate);

  /// Moments and step counts as "NAME.exp_avg", "NAME.exp_avg_sq", "NAME.step"; views, not copies.
  NamedTensors state() const;
  /// Throws Error naming the first entry that is missing or misshapen.
  void load(const NamedTensors& state);

  const NamedTensors& parameters() const { return parameters_; }

 private:
  struct Moments {
    Tensor exp_avg, exp_avg_sq, step;
  };
  NamedTensors parameters_;
  std::map<std::string, Moments> moments_;
  AdamWOptions options_;
};

/// The norm of all gradients together; when it is larger than max_norm they are scaled down to it,
/// 0 being no limit. Parameters without gradient count as zero. NaN and infinity are passed on: the
/// caller stops.
double clip_gradients(const NamedTensors& parameters, double max_norm);

void clear_gradients(const NamedTensors& parameters);

/// Sets requires_grad of all tensors.
void require_gradients(const NamedTensors& parameters, bool is_required);

/// average = decay * average + (1 - decay) * parameter, for all names.
void update_average(NamedTensors& average, const NamedTensors& parameters, double decay);

/// Copies, detached.
NamedTensors clone_tensors(const NamedTensors& tensors);

/// Copies `values` into `targets` of the same names.
/// what: for the message. Throws Error naming the first name that is missing or has another shape.
void copy_tensors(const NamedTensors& values, const NamedTensors& targets, const std::string& what);

// Matrix products and convolutions of training in bf16, everything else in fp32.

/// Throws InvalidRequest for words other than "fp32" and "bf16", naming both.
void check_training_precision(const std::string& precision);

/// While it lives, matrix products, convolutions and attention under this thread compute in bf16
/// where `precision` is "bf16" (torch's autocast: weights, norms, losses and optimizer stay fp32);
/// "fp32" changes nothing.
class MixedPrecision {
 public:
  /// Throws as check_training_precision().
  MixedPrecision(const std::string& precision, torch::Device device);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;

 private:
  torch::DeviceType device_type_;
  bool is_on_;
  bool was_enabled_ = false;  ///< what the outer one left, for the destructor
  torch::ScalarType dtype_before_ = torch::kBFloat16;
};

}  // namespace fourstep
