#pragma once
// Matrix products and convolutions of training in bf16, everything else in fp32.

#include <string>

#include "base/tensor.h"

namespace fourstep {

/// Throws InvalidRequest for words other than "fp32" and "bf16", naming both.
void check_training_precision(const std::string& precision);

/// While it lives, matrix products, convolutions and attention under this thread compute in bf16 where `precision` is
/// "bf16" (torch's autocast: weights, norms, losses and optimizer stay fp32); "fp32" changes nothing.
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
