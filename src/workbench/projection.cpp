#include "workbench/projection.h"

#include <algorithm>

#include "base/error.h"
#include "lora/fuse.h"

namespace fourstep {
namespace {

Tensor as_float(const Tensor& tensor) { return aligned(tensor).to(torch::kFloat); }

double total(const Tensor& tensor) { return tensor.sum(torch::kDouble).item<double>(); }

double inner_product(const Tensor& a, const Tensor& b) { return total(a * b); }

/// Calls use(begin, rows) for the rows of weight (less those of base, if there is one) as fp32 matrices of a few MB.
/// Whole weights would be up to 50 MB each, and the C library does not give such memory back piece by piece.
template <typename Use>
void for_row_blocks(const Tensor& weight, const Tensor& base, const Use& use) {
  constexpr int64_t kBlockElements = 1 << 20;
  const int64_t rows = weight.size(0), cols = weight.numel() / std::max<int64_t>(rows, 1);
  const int64_t step = std::max<int64_t>(kBlockElements / std::max<int64_t>(cols, 1), 1);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t count = std::min(step, rows - begin);
    Tensor block = as_float(weight.narrow(0, begin, count));
    if (base.defined()) block = block - as_float(base.narrow(0, begin, count));
    use(begin, block.reshape({count, cols}));
  }
}

double block_norm2(const Tensor& block) {
  // Pieces keep fp32 sums short enough to be exact to 1e-6; one vector product for each.
  constexpr int64_t kPiece = 1 << 16;
  const Tensor flat = block.reshape({-1});
  double sum = 0;
  for (int64_t begin = 0; begin < flat.numel(); begin += kPiece) {
    const Tensor piece = flat.narrow(0, begin, std::min(kPiece, flat.numel() - begin));
    sum += torch::dot(piece, piece).item<double>();
  }
  return sum;
}

Projection project_low_rank(const Tensor& weight, const Tensor& base, const LoraModule& module) {
  const auto& low = std::get<LowRank>(module.weight);
  const Tensor up = as_float(low.up).flatten(1), down = as_float(low.down).flatten(1);
  const double factor = factor_of(module);
  Projection result;
  Tensor product = torch::zeros_like(down);
  for_row_blocks(weight, base, [&](int64_t begin, const Tensor& rows) {
    result.weight_norm2 += block_norm2(rows);
    product.addmm_(up.narrow(0, begin, rows.size(0)).t(), rows);
  });
  result.dot = factor * inner_product(product, down);
  const Tensor up_gram = torch::mm(up.t(), up), down_gram = torch::mm(down, down.t());
  result.delta_norm2 = factor * factor * inner_product(up_gram, down_gram);
  return result;
}

Projection project_dense(const Tensor& weight, const Tensor& base, const LoraModule& module) {
  const Tensor change = delta(module, shape_of(weight)).reshape({weight.size(0), -1});
  Projection result;
  for_row_blocks(weight, base, [&](int64_t begin, const Tensor& rows) {
    result.weight_norm2 += block_norm2(rows);
    result.dot += inner_product(rows, change.narrow(0, begin, rows.size(0)));
  });
  result.delta_norm2 = inner_product(change, change);
  return result;
}

/// base: undefined for none.
Projection project_rows(const Tensor& weight, const Tensor& base, const LoraModule& module) {
  if (!fits_shape(module, shape_of(weight))) {
    throw Error("lora projection: the module does not fit a weight of shape {}",
                to_string(shape_of(weight)));
  }
  const torch::NoGradGuard no_grad;
  const auto* low = std::get_if<LowRank>(&module.weight);
  const bool is_plain = low && !low->mid.defined();
  Projection result =
      is_plain ? project_low_rank(weight, base, module) : project_dense(weight, base, module);
  result.num_elements = weight.numel();
  return result;
}

}  // namespace

bool is_projectable(const LoraModule& module) { return !depends_on_weight(module); }

Projection project(const Tensor& weight, const LoraModule& module) {
  return project_rows(weight, {}, module);
}

Projection project_difference(const Tensor& weight, const Tensor& base, const LoraModule& module) {
  check_shape(base, shape_of(weight), "lora projection: base");
  return project_rows(weight, base, module);
}

double weight_norm2(const Tensor& weight) {
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for_row_blocks(weight, {}, [&](int64_t, const Tensor& rows) { sum += block_norm2(rows); });
  return sum;
}

}  // namespace fourstep
