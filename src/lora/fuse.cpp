#include "lora/fuse.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/parallel.h"
#include "lora/relative_change.h"

namespace fourstep {
namespace {

/// Memory of one fp32 block of rows: small enough to stay in a core's cache between its three
/// passes (cast in, add, cast out) and to give many cores a block of every weight, large enough for
/// an efficient matrix product. The number of threads does not decide it: the same bits come out on
/// every machine.
constexpr int64_t kBlockBytes = 1 << 18;

std::optional<Shape> product_extents(const Tensor& a, const Tensor& b, const Tensor& t) {
  if (a.dim() < 2 || b.dim() < 2 || a.size(0) == 0) return std::nullopt;
  const int64_t cols = c10::multiply_integers(b.sizes().slice(1));  // not numel: the rank may be 0
  if (!t.defined()) {
    const bool fits = a.numel() == a.size(0) * b.size(0);
    return fits ? std::optional(Shape{a.size(0), cols}) : std::nullopt;
  }
  const bool fits = t.dim() >= 3 && t.size(0) == a.size(0) && t.size(1) == b.size(0);
  if (!fits) return std::nullopt;
  return Shape{a.numel() / a.size(0), cols * t.numel() / (t.size(0) * t.size(1))};
}

/// Stored as [r,out] in the Tucker form of LoHa, as [out,r,1,1] in that of LoCon.
Tensor tucker_up(const LowRank& m) {
  return m.mid.defined() ? m.up.flatten(1).t().contiguous() : m.up;
}

struct Extents {
  std::optional<Shape> operator()(const LowRank& m) const {
    const bool is_matrix = m.up.dim() >= 2 && m.up.numel() == m.up.size(0) * m.up.size(1);
    if (!is_matrix) return std::nullopt;
    return product_extents(tucker_up(m), m.down, m.mid);
  }
  std::optional<Shape> operator()(const LoHa& m) const {
    const auto first = product_extents(m.w1_a, m.w1_b, m.t1);
    return first == product_extents(m.w2_a, m.w2_b, m.t2) ? first : std::nullopt;
  }
  std::optional<Shape> operator()(const LoKr& m) const {
    const auto first = factor(m.w1, m.w1_a, m.w1_b, {}),
               second = factor(m.w2, m.w2_a, m.w2_b, m.t2);
    if (!first || !second) return std::nullopt;
    return Shape{(*first)[0] * (*second)[0], (*first)[1] * (*second)[1]};
  }
  std::optional<Shape> operator()(const FullDiff& m) const { return of_whole(m.diff); }
  std::optional<Shape> operator()(const GLoRA& m) const { return (*this)(m.b); }
  std::optional<Shape> operator()(const Replacement& m) const { return of_whole(m.value); }
  std::optional<Shape> operator()(const OFT&) const { return std::nullopt; }
  std::optional<Shape> operator()(const IA3&) const { return std::nullopt; }
  static std::optional<Shape> of_whole(const Tensor& whole) {
    const int64_t rows = whole.dim() == 0 ? 1 : whole.size(0);
    return Shape{rows, whole.numel() / rows};
  }
  static std::optional<Shape> factor(const Tensor& w, const Tensor& a, const Tensor& b,
                                     const Tensor& t) {
    if (!w.defined()) return product_extents(a, b, t);
    return w.dim() < 2 ? std::nullopt : std::optional(Shape{w.size(0), w.numel() / w.size(0)});
  }
};

/// The difference without its factor as a matrix, computed on `device`.
struct Delta {
  torch::Device device;

  Tensor operator()(const LowRank& m) const { return product(tucker_up(m), m.down, m.mid); }
  Tensor operator()(const LoHa& m) const {
    return product(m.w1_a, m.w1_b, m.t1).mul_(product(m.w2_a, m.w2_b, m.t2));
  }
  /// The kernel of a convolution stays innermost under the Kronecker product of matrices.
  Tensor operator()(const LoKr& m) const {
    const Tensor w1 = m.w1.defined() ? matrix(m.w1) : product(m.w1_a, m.w1_b, {});
    return torch::kron(w1, m.w2.defined() ? matrix(m.w2) : product(m.w2_a, m.w2_b, m.t2));
  }
  Tensor operator()(const FullDiff& m) const { return fp32(m.diff); }
  template <typename Relative>
  Tensor operator()(const Relative&) const {
    throw Error("lora delta: the change depends on the weight");
  }

  /// Moved first, then converted: half the bytes for what a file holds as fp16.
  Tensor fp32(const Tensor& tensor) const { return tensor.to(device).to(torch::kFloat); }
  Tensor matrix(const Tensor& tensor) const { return fp32(tensor).flatten(1); }

  /// a @ b, or the Tucker form sum_ij t[i,j,k] a[i,p] b[j,q] as [p, q*k].
  Tensor product(const Tensor& a, const Tensor& b, const Tensor& t) const {
    if (!t.defined()) return torch::mm(matrix(a), matrix(b));
    const Tensor core = fp32(t).flatten(2);
    return torch::einsum("ijk,ip,jq->pqk", {core, matrix(a), matrix(b)}).flatten(1);
  }
};

int compare_tensors(const Tensor& a, const Tensor& b) {
  const auto head = [](const Tensor& t) {
    Shape numbers{t.defined()};
    if (!t.defined()) return numbers;
    numbers.push_back(static_cast<int64_t>(t.scalar_type()));
    numbers.insert(numbers.end(), t.sizes().begin(), t.sizes().end());
    return numbers;
  };
  const Shape head_a = head(a), head_b = head(b);
  if (head_a != head_b) return head_a < head_b ? -1 : 1;
  if (!a.defined() || a.const_data_ptr() == b.const_data_ptr()) return 0;
  return std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes());
}

/// The change of a DoRA module at weight 1: W' - W. w, change: fp32 of the weight's shape.
Tensor dora_change(const Tensor& w, const Tensor& change, const Tensor& magnitude) {
  const Tensor m = magnitude.to(w.device(), torch::kFloat);
  const bool per_output = m.size(0) == m.numel() && m.numel() == w.size(0);
  std::vector<int64_t> others;
  for (int64_t i = 0; i < w.dim(); ++i) {
    if (i != (per_output ? 0 : 1)) others.push_back(i);
  }
  const Tensor merged = w + change;
  const Tensor norms = torch::linalg_vector_norm(merged, 2, others, /*keepdim=*/true);
  // A weight that is all zero has no direction to scale: it stays zero instead of becoming NaN.
  const Tensor gain = torch::where(norms > 0, m.reshape(norms.sizes()) / norms, 0.0F);
  return merged * gain - w;
}

bool is_plain_low_rank(const WeightedModule& term) {
  const auto* low = std::get_if<LowRank>(&term.module.weight);
  return low && !low->mid.defined() && !term.module.dora_scale.defined();
}

struct FactorPair {
  Tensor up, down;   ///< [out,r], [r,cols], fp32
  double scale = 1;  ///< weight * alpha / r
};

std::vector<FactorPair> factor_pairs(const std::vector<WeightedModule>& terms) {
  std::vector<FactorPair> pairs;
  for (const WeightedModule& term : terms) {
    const auto& low = std::get<LowRank>(term.module.weight);
    const Delta cpu{torch::kCPU};
    pairs.push_back(
        {cpu.matrix(low.up), cpu.matrix(low.down), term.weight * factor_of(term.module)});
  }
  return pairs;
}

/// Low-rank terms on the CPU, block of rows by block of rows, the blocks shared among the threads.
/// Without terms it casts, through fp32, which is faster than torch's direct copy between two half
/// types.
void fuse_low_rank(const Tensor& out, const Tensor& w, const std::vector<WeightedModule>& terms) {
  const int64_t rows = w.size(0), cols = w.numel() / rows;
  const int64_t wanted = kBlockBytes / (cols * static_cast<int64_t>(sizeof(float)));
  const int64_t step = std::clamp<int64_t>(wanted, std::min<int64_t>(16, rows), rows);
  parallel_for((rows + step - 1) / step, 1, [&](int64_t first, int64_t last) {
    const std::vector<FactorPair> pairs =
        factor_pairs(terms);  // here: one barrier per weight, not three
    const Tensor scratch = torch::empty({step, cols}, torch::kFloat);
    for (int64_t begin = first * step; begin < std::min(last * step, rows); begin += step) {
      const int64_t count = std::min(step, rows - begin);
      Tensor sum = scratch.narrow(0, 0, count);
      const Tensor sum_as_w = sum.view(w.narrow(0, begin, count).sizes());
      sum_as_w.copy_(w.narrow(0, begin, count));
      for (const FactorPair& pair : pairs) {
        sum.addmm_(pair.up.narrow(0, begin, count), pair.down, 1, pair.scale);
      }
      out.narrow(0, begin, count).copy_(sum_as_w);
    }
  });
}

/// Adds what the term adds to W = `original` (fp32) to `sum`.
void add_change(Tensor& sum, const Tensor& original, const WeightedModule& term) {
  const bool is_dora = term.module.dora_scale.defined();
  if (is_relative(term.module) && !is_dora) {
    sum.add_(relative_change(term.module, original, term.weight));
    return;
  }
  Tensor change = is_relative(term.module)
                      ? relative_change(term.module, original, 1)
                      : delta(term.module, shape_of(original), original.device());
  if (is_dora) change = dora_change(original, change, term.module.dora_scale);
  sum.add_(change, term.weight);
}

/// Terms of any kind, the whole weight at once. A replaced weight is the first summand itself, so
/// that it arrives to the bit; what the others add is counted from W all the same.
void fuse_any(Tensor out, const Tensor& w, const std::vector<WeightedModule>& terms) {
  const Tensor original = w.to(out.device()).to(torch::kFloat);
  const auto first = std::find_if(terms.begin(), terms.end(), [](const WeightedModule& term) {
    return std::holds_alternative<Replacement>(term.module.weight);
  });
  Tensor sum = first == terms.end() ? original.clone()
                                    : std::get<Replacement>(first->module.weight)
                                          .value.to(out.device())
                                          .to(torch::kFloat, /*non_blocking=*/false, /*copy=*/true)
                                          .reshape(original.sizes());
  for (auto term = terms.begin(); term != terms.end(); ++term) {
    if (term != first) add_change(sum, original, *term);
  }
  out.copy_(sum);
}

}  // namespace

std::optional<Shape> delta_extents(const LoraModule& module) {
  return std::visit(Extents{}, module.weight);
}

bool depends_on_weight(const LoraModule& module) {
  return module.dora_scale.defined() || is_relative(module);
}

bool fits_shape(const LoraModule& module, const Shape& target) {
  if (is_relative(module) && !fits_relative(module, target)) return false;
  if (is_relative(module) && !module.dora_scale.defined()) return true;
  const std::optional<Shape> extents = delta_extents(module);
  if (!extents || target.empty()) return false;
  int64_t cols = 1;
  for (size_t i = 1; i < target.size(); ++i) cols *= target[i];
  if (*extents != Shape{target[0], cols}) return false;
  if (!module.dora_scale.defined()) return true;
  const Tensor& m = module.dora_scale;
  return target.size() > 1 && m.dim() > 0 &&
         (m.numel() == (m.size(0) == m.numel() ? target[0] : target[1]));
}

Tensor delta(const LoraModule& module, const Shape& target, torch::Device device) {
  if (is_relative(module)) {
    throw Error("lora: {} of these shapes does not fit a weight of shape {}", kind_of(module),
                to_string(target));
  }
  if (!fits_shape(module, target)) {
    const std::optional<Shape> extents = delta_extents(module);
    throw Error(
        "lora delta: {} does not fit a weight of shape {}",
        extents ? "a difference of " + to_string(*extents) : "a module of disagreeing factors",
        to_string(target));
  }
  return std::visit(Delta{device}, module.weight).reshape(target) * factor_of(module);
}

LoraModule take_rows(const LoraModule& module, const Shape& full, int64_t begin, int64_t count) {
  LoraModule part = module;
  if (module.dora_scale.defined()) {
    if (module.dora_scale.size(0) != full[0]) {
      throw Error(
          "lora: DoRA magnitudes per input cannot be split among the rows of a fused layer");
    }
    part.dora_scale = module.dora_scale.narrow(0, begin, count);
  }
  auto* low = std::get_if<LowRank>(&part.weight);
  if (is_relative(module)) {
    take_relative_rows(part, begin, count);
  } else if (low) {
    low->up = low->up.narrow(0, begin, count);
  } else {
    part.weight = FullDiff{delta(module, full).narrow(0, begin, count)};
    part.scale = 1.0;
  }
  return part;
}

int compare_content(const LoraModule& a, const LoraModule& b) {
  if (a.weight.index() != b.weight.index()) return a.weight.index() < b.weight.index() ? -1 : 1;
  if (number_of(a) != number_of(b)) return number_of(a) < number_of(b) ? -1 : 1;
  const std::vector<Tensor> of_a = tensors_of(a), of_b = tensors_of(b);
  for (size_t i = 0; i < of_a.size(); ++i) {
    if (const int order = compare_tensors(of_a[i], of_b[i])) return order;
  }
  return 0;
}

std::vector<WeightedModule> canonical_terms(std::vector<WeightedModule> modules) {
  for (const WeightedModule& term : modules) {
    if (!std::isfinite(term.weight)) {
      throw InvalidRequest("lora: weight {} is not a finite number", term.weight);
    }
  }
  std::sort(modules.begin(), modules.end(), [](const WeightedModule& a, const WeightedModule& b) {
    const int order = compare_content(a.module, b.module);
    return order != 0 ? order < 0 : a.weight < b.weight;
  });
  std::vector<WeightedModule> terms;
  for (WeightedModule& term : modules) {
    if (!terms.empty() && compare_content(terms.back().module, term.module) == 0) {
      terms.back().weight += term.weight;
    } else {
      terms.push_back(std::move(term));
    }
  }
  std::erase_if(terms, [](const WeightedModule& term) { return term.weight == 0; });
  return terms;
}

void fuse_into(Tensor out, const Tensor& pristine, const std::vector<WeightedModule>& modules) {
  const c10::InferenceMode guard;  // a live parameter is written to, and no gradient is wanted
  check_shape(out, shape_of(pristine), "lora fuse: output");
  const std::vector<WeightedModule> terms = canonical_terms(modules);
  for (const WeightedModule& term : terms) {
    if (!fits_shape(term.module, shape_of(pristine))) delta(term.module, shape_of(pristine));
  }
  const Tensor w = aligned(pristine);
  const bool has_rows = w.dim() > 0 && w.numel() > 0;
  if (terms.empty() && (!out.is_cpu() || out.dtype() == w.dtype() || !has_rows)) {
    out.copy_(w);
  } else if (out.is_cpu() && std::all_of(terms.begin(), terms.end(), is_plain_low_rank)) {
    fuse_low_rank(out, w, terms);
  } else {
    fuse_any(out, w, terms);
  }
}

Tensor change_of(const Tensor& pristine, const WeightedModule& module) {
  const c10::InferenceMode guard;
  if (!fits_shape(module.module, shape_of(pristine))) delta(module.module, shape_of(pristine));
  const Tensor original = aligned(pristine).to(torch::kFloat);
  Tensor change = torch::zeros_like(original);
  add_change(change, original, module);
  return change;
}

Tensor fuse(const Tensor& pristine, const std::vector<WeightedModule>& modules) {
  const torch::Device device = pristine.is_meta() ? torch::kCPU : pristine.device();
  Tensor out = torch::empty(pristine.sizes(), torch::TensorOptions(torch::kFloat).device(device));
  fuse_into(out, pristine, modules);
  return out;
}

}  // namespace fourstep
