#include "lora/relative_change.h"

#include <algorithm>

#include "base/error.h"
#include "lora/fuse.h"

namespace fourstep {
namespace {

/// In fp32 on the device of `like`.
Tensor beside(const Tensor& tensor, const Tensor& like) {
  return tensor.to(like.device()).to(torch::kFloat);
}

/// R = (I + Q)(I - Q)^-1 of every block, [...,b,b], fp32; inverted in double.
Tensor rotations(const OFT& oft, double limit) {
  const Tensor blocks = oft.blocks.to(torch::kDouble);
  Tensor q = blocks - blocks.transpose(-1, -2);
  const double norm = q.norm().item<double>();
  if (limit > 0 && norm > limit) q = q * (limit / norm);
  const Tensor identity = torch::eye(q.size(-1), q.options());
  return at::linalg_solve(identity - q, identity + q, /*left=*/false).to(torch::kFloat);
}

/// One stage of a BOFT: blocks of rows that are `half` apart are mixed. rows: [out,cols]; r:
/// [n,b,b].
Tensor butterfly_stage(const Tensor& rows, const Tensor& r, int64_t half) {
  const int64_t cols = rows.size(1);
  const Tensor paired = rows.reshape({-1, 2, half, cols}).transpose(1, 2);
  const Tensor mixed = torch::bmm(r, paired.reshape({r.size(0), r.size(1), cols}));
  return mixed.reshape({-1, half, 2, cols}).transpose(1, 2).reshape({-1, cols});
}

/// The weight's rows [out,cols] after the rotations at `weight`.
Tensor rotated(const OFT& oft, double limit, const Tensor& w, double weight) {
  Tensor r = rotations(oft, limit);
  r = (torch::eye(r.size(-1)) * (1 - weight) + r * weight).to(w.device());
  if (r.dim() == 3) {
    const Tensor blocks = w.reshape({r.size(0), r.size(1), -1});
    return torch::bmm(r.transpose(1, 2), blocks).reshape(w.sizes());
  }
  Tensor rows = w;
  for (int64_t stage = 0; stage < r.size(0); ++stage) {
    rows = butterfly_stage(rows, r[stage], (r.size(-1) / 2) << stage);
  }
  return rows;
}

struct RelativeChange {
  const LoraModule& module;
  const Tensor& w;
  double weight;

  Tensor operator()(const GLoRA& m) const {
    const Tensor inputs =
        torch::mm(beside(m.a1, w).flatten(1), beside(m.a2, w).flatten(1));  // [in,in]
    LoraModule plain{m.b, {}, {}, 1.0};
    Tensor change = delta(plain, shape_of(w), w.device());
    // The kernel of a convolution stays outside: sum_i w[o,i,k] inputs[i,j].
    const Tensor by_kernel = w.reshape({w.size(0), w.size(1), -1}).transpose(1, 2);
    change = change + torch::matmul(by_kernel, inputs).transpose(1, 2).reshape(w.sizes());
    return change * (factor_of(module) * weight);
  }
  Tensor operator()(const OFT& m) const {
    const double limit = module.alpha.value_or(0) * static_cast<double>(w.size(0));
    Tensor merged = rotated(m, limit, w.flatten(1), weight).reshape(w.sizes());
    if (m.rescale.defined()) merged = merged * row_factors(m.rescale);
    return merged - w;
  }
  Tensor operator()(const IA3& m) const {
    const bool on_input = m.on_input.to(torch::kDouble).item<double>() != 0;
    if (!on_input) return w * (row_factors(m.weight) * weight);
    Shape shape(w.dim(), 1);
    shape[1] = w.size(1);
    return w * (beside(m.weight, w).reshape(shape) * weight);
  }
  Tensor operator()(const Replacement& m) const {
    return beside(m.value, w).reshape(w.sizes()) - w;
  }
  template <typename Other>
  Tensor operator()(const Other&) const {
    throw Error("lora: {} does not depend on the weight", kind_of(module));
  }

  /// [out] as [out,1,...].
  Tensor row_factors(const Tensor& factors) const {
    Shape shape(w.dim(), 1);
    shape[0] = w.size(0);
    return beside(factors, w).reshape(shape);
  }
};

int64_t columns_of(const Shape& shape) {
  int64_t columns = 1;
  for (size_t i = 1; i < shape.size(); ++i) columns *= shape[i];
  return columns;
}

struct RelativeExtents {
  Shape operator()(const GLoRA& m) const {
    return delta_extents(LoraModule{m.b, {}, {}, {}}).value_or(Shape{-1, -1});
  }
  Shape operator()(const OFT& m) const { return {m.blocks.size(-3) * m.blocks.size(-1), -1}; }
  Shape operator()(const IA3& m) const {
    const bool on_input = m.on_input.to(torch::kDouble).item<double>() != 0;
    return on_input ? Shape{-1, m.weight.numel()} : Shape{m.weight.numel(), -1};
  }
  template <typename Other>
  Shape operator()(const Other&) const {
    return {-1, -1};
  }
};

}  // namespace

bool is_relative(const LoraModule& module) {
  return std::holds_alternative<GLoRA>(module.weight) ||
         std::holds_alternative<OFT>(module.weight) || std::holds_alternative<IA3>(module.weight) ||
         std::holds_alternative<Replacement>(module.weight);
}

const char* kind_of(const LoraModule& module) {
  struct Visitor {
    const char* operator()(const LowRank&) const { return "LoRA"; }
    const char* operator()(const LoHa&) const { return "LoHa"; }
    const char* operator()(const LoKr&) const { return "LoKr"; }
    const char* operator()(const FullDiff&) const { return "full difference"; }
    const char* operator()(const GLoRA&) const { return "GLoRA"; }
    const char* operator()(const OFT& m) const { return m.blocks.dim() == 4 ? "BOFT" : "OFT"; }
    const char* operator()(const IA3&) const { return "IA3"; }
    const char* operator()(const Replacement&) const { return "replaced weight"; }
  };
  return std::visit(Visitor{}, module.weight);
}

bool fits_relative(const LoraModule& module, const Shape& target) {
  if (const auto* whole = std::get_if<Replacement>(&module.weight))
    return shape_of(whole->value) == target;
  if (target.size() < 2) return false;
  if (const auto* glora = std::get_if<GLoRA>(&module.weight)) {
    const bool maps_inputs = glora->a1.size(0) == target[1] &&
                             glora->a1.numel() == glora->a1.size(0) * glora->a1.size(1) &&
                             glora->a2.numel() == glora->a2.size(0) * target[1];
    return maps_inputs && relative_extents(module) == Shape{target[0], columns_of(target)};
  }
  const Shape extents = relative_extents(module);
  return (extents[0] < 0 || extents[0] == target[0]) && (extents[1] < 0 || extents[1] == target[1]);
}

Tensor relative_change(const LoraModule& module, const Tensor& w, double weight) {
  return std::visit(RelativeChange{module, w, weight}, module.weight);
}

Shape relative_extents(const LoraModule& module) {
  return std::visit(RelativeExtents{}, module.weight);
}

void take_relative_rows(LoraModule& module, int64_t begin, int64_t count) {
  if (auto* glora = std::get_if<GLoRA>(&module.weight)) {
    glora->b.up = glora->b.up.narrow(0, begin, count);
  } else if (auto* whole = std::get_if<Replacement>(&module.weight)) {
    whole->value = whole->value.narrow(0, begin, count);
  } else if (auto* ia3 = std::get_if<IA3>(&module.weight)) {
    const bool is_of_rows = relative_extents(module)[0] >= 0;
    if (is_of_rows) ia3->weight = ia3->weight.reshape({-1}).narrow(0, begin, count);
  } else {
    throw Error(
        "lora: {} rotates all rows together and cannot be split among those of a fused layer",
        kind_of(module));
  }
}

}  // namespace fourstep
