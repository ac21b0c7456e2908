#pragma once
// How much of a LoRA's difference lies in a weight: inner products with D = alpha / rank * up @ down that do
// not need D itself.

#include <cstdint>

#include "base/tensor.h"
#include "lora/lora_file.h"

namespace fourstep {

/// <.,.> is the sum of the products of all elements.
struct Projection {
  double dot = 0;            ///< <W, D>
  double weight_norm2 = 0;   ///< <W, W>
  double delta_norm2 = 0;    ///< <D, D>
  int64_t num_elements = 0;  ///< of W
};

/// True for differences that do not depend on the weight they are added to; false for DoRA, GLoRA, OFT and the like.
bool is_projectable(const LoraModule& module);

/// weight: any type, may be a view of a file. For low rank <W, BA> = sum of (B^T W) * A, element by element, and
/// <BA, BA> = sum of (B^T B) * (A A^T) (the trace is cyclic); other kinds are multiplied out.
/// fp32 products, summed in double where they meet, rows of a few MB at a time. Throws Error when the shapes do not fit.
Projection project(const Tensor& weight, const LoraModule& module);

/// Of weight - base, which has the same shape.
Projection project_difference(const Tensor& weight, const Tensor& base, const LoraModule& module);

/// <W, W>. weight: one dimension or more, any type, may be a view of a file.
double weight_norm2(const Tensor& weight);

}  // namespace fourstep
