#pragma once
// Matrix products and convolutions of training in bf16, everything else in fp32.

#include <string>

#include "base/tensor.h"

namespace fourstep {

/// While it lives, matrix products, convolutions and attention under this thread compute in bf16 where `precision` is
/// "bf16" (torch's autocast: weights, norms, losses and optimizer stay fp32); "fp32" changes nothing.
class MixedPrecision {
 public:
  /// Throws Error for other words, naming the two.
  MixedPrecision(const std::string& precision, torch::Device device);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;

 private:
  torch::DeviceType device_type_;
  bool is_on_;
};

}  // namespace fourstep
