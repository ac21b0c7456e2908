#include "workbench/projection.h"

#include <algorithm>

#include "base/error.h"
#include "lora/fuse.h"

namespace fourstep {
namespace {

Tensor as_float(const Tensor& tensor) { return aligned(tensor).to(torch::kFloat); }

double total(const Tensor& tensor) { return tensor.sum(torch::kDouble).item<double>(); }

double inner_product(const Tensor& a, const Tensor& b) { return total(a * b); }

/// weight: fp32.
Projection project_float(const Tensor& weight, const LoraModule& module) {
  Projection result;
  result.num_elements = weight.numel();
  // Blocks keep fp32 sums short enough to be exact to 1e-6; one vector product for each.
  const Tensor flat = weight.reshape({-1});
  constexpr int64_t kBlock = 1 << 16;
  for (int64_t begin = 0; begin < flat.numel(); begin += kBlock) {
    const Tensor block = flat.narrow(0, begin, std::min(kBlock, flat.numel() - begin));
    result.weight_norm2 += torch::dot(block, block).item<double>();
  }
  const auto* low = std::get_if<LowRank>(&module.weight);
  if (!low || low->mid.defined()) {
    const Tensor change = delta(module, shape_of(weight));
    result.dot = inner_product(weight, change);
    result.delta_norm2 = inner_product(change, change);
    return result;
  }
  const Tensor up = as_float(low->up).flatten(1), down = as_float(low->down).flatten(1);
  const double factor = factor_of(module);
  result.dot = factor * inner_product(torch::mm(up.t(), weight.flatten(1)), down);
  const Tensor up_gram = torch::mm(up.t(), up), down_gram = torch::mm(down, down.t());
  result.delta_norm2 = factor * factor * inner_product(up_gram, down_gram);
  return result;
}

void check_fit(const Tensor& weight, const LoraModule& module) {
  if (!fits_shape(module, shape_of(weight))) {
    throw Error("lora projection: the module does not fit a weight of shape {}",
                to_string(shape_of(weight)));
  }
}

}  // namespace

bool is_projectable(const LoraModule& module) { return !module.dora_scale.defined(); }

Projection project(const Tensor& weight, const LoraModule& module) {
  check_fit(weight, module);
  const torch::NoGradGuard no_grad;
  return project_float(as_float(weight), module);
}

Projection project_difference(const Tensor& weight, const Tensor& base, const LoraModule& module) {
  check_fit(weight, module);
  check_shape(base, shape_of(weight), "lora projection: base");
  const torch::NoGradGuard no_grad;
  return project_float(as_float(weight) - as_float(base), module);
}

}  // namespace fourstep
