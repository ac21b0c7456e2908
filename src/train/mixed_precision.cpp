#include "train/mixed_precision.h"

#include <ATen/autocast_mode.h>

#include "base/error.h"

namespace fourstep {

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
