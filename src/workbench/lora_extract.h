#pragma once
// A LoRA out of two checkpoints: what one adds to the other, layer by layer.

#include <cstdint>
#include <map>

#include "base/events.h"
#include "io/checkpoint.h"
#include "workbench/lora_fit.h"

namespace fourstep {

struct ExtractOptions {
  int64_t rank = 64;              ///< of linear layers and 1x1 convolutions
  int64_t convolution_rank = 64;  ///< of larger kernels
  /// A text encoder is left out when none of its weights differs by more. Source: sd-scripts'
  /// min_diff.
  double min_text_difference = 0.01;
  torch::ScalarType dtype = torch::kHalf;
};

struct ExtractResult {
  std::map<ParameterId, LoraModule> modules;
  LoraLayout layout;         ///< of the base
  double total_squared = 0;  ///< ||tuned - base||^2 over the weights that a LoRA can change
  double lost_squared = 0;   ///< ||tuned - base - result||^2 over them, rounding to dtype included
  double beyond_squared =
      0;  ///< ||tuned - base||^2 of norms, biases and other weights that it cannot
  size_t num_unchanged = 0;  ///< weights that are equal in both

  /// The root of lost / total.
  double relative_error() const;
};

/// The best approximation of `tuned` - `base`, weight by weight, in fp32; a weight that is equal in
/// both gets no module. Holds one weight of each at a time.
/// Throws Error when the two have different layouts, or there is no difference at all, and
/// InvalidRequest for a rank below 1.
ExtractResult extract_lora(const Checkpoint& tuned, const Checkpoint& base,
                           const ExtractOptions& options, const Events& events = {});

}  // namespace fourstep
