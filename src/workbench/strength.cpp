#include "workbench/strength.h"

#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "lora/fuse.h"

namespace fourstep {

namespace {

constexpr double kHuber = 1.5;  ///< in deviations: 96% efficient on normal noise
constexpr double kMadToDeviation = 1.4826;

struct WeightedValue {
  double value, weight;
};

double weighted_median(std::vector<WeightedValue> items) {
  std::sort(items.begin(), items.end(), [](auto& a, auto& b) { return a.value < b.value; });
  double half = 0, sum = 0;
  for (const WeightedValue& item : items) half += item.weight / 2;
  for (const WeightedValue& item : items) {
    sum += item.weight;
    if (sum >= half) return item.value;
  }
  return items.back().value;
}

double normalised(const ModuleStrength& module, double center) {
  return (module.strength - center) * std::sqrt(module.information);
}

/// The deviation of normalised residuals; outliers have no say.
double scatter_around(std::span<const ModuleStrength> modules, double center) {
  std::vector<WeightedValue> residuals;
  for (const ModuleStrength& module : modules) {
    residuals.push_back({std::abs(normalised(module, center)), 1});
  }
  return kMadToDeviation * weighted_median(std::move(residuals));
}

/// Huber's factor for modules far off; 1 for all others, and for all without scatter.
double huber_factor(const ModuleStrength& module, double center, double scatter) {
  const double distance = std::abs(normalised(module, center));
  return std::min(1.0, scatter > 0 ? kHuber * scatter / distance : 1.0);
}

struct Mean {
  double value = 0, variance = 0, effective_number = 0;
};

Mean weighted_mean(std::span<const ModuleStrength> modules, double center, double scatter) {
  double sum = 0, squares = 0, weighted = 0, residuals = 0, slope = 0;
  for (const ModuleStrength& module : modules) {
    const double factor = huber_factor(module, center, scatter);
    const double weight = factor * module.information;
    // A module far off pulls with the same force wherever the centre is: it does not hold it in
    // place.
    slope += factor < 1 ? 0 : module.information;
    sum += weight;
    squares += weight * weight;
    weighted += weight * module.strength;
    residuals += std::pow(weight * (module.strength - center), 2);
  }
  if (slope == 0) return {center, std::numeric_limits<double>::infinity(), 1};
  return {weighted / sum, residuals / (slope * slope), sum * sum / squares};
}

}  // namespace

double student_quantile(double degrees_of_freedom) {
  const double n = std::max(degrees_of_freedom, 1e-3), z = 1.959964;
  const double z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

StrengthEstimate pooled(std::span<const ModuleStrength> modules) {
  if (modules.empty()) throw Error("lora detect: no module to measure");
  std::vector<WeightedValue> values;
  for (const ModuleStrength& module : modules) {
    values.push_back({module.strength, module.information});
  }
  StrengthEstimate estimate;
  estimate.num_modules = modules.size();
  estimate.strength = weighted_median(std::move(values));
  constexpr int kIterations = 30;
  Mean mean;
  for (int i = 0; i < kIterations; ++i) {
    estimate.scatter = scatter_around(modules, estimate.strength);
    mean = weighted_mean(modules, estimate.strength, estimate.scatter);
    estimate.strength = mean.value;
  }
  const double degrees = mean.effective_number - 1;
  const double inflation =
      (degrees + 1) / std::max(degrees, 1e-9);  // of the residuals: one was fitted
  estimate.error = modules.size() < 2
                       ? std::numeric_limits<double>::infinity()
                       : student_quantile(degrees) * std::sqrt(mean.variance * inflation);
  return estimate;
}

namespace {

Tensor as_float(const Tensor& tensor) { return aligned(tensor).to(torch::kFloat); }

double total(const Tensor& tensor) { return tensor.sum(torch::kDouble).item<double>(); }

double inner_product(const Tensor& a, const Tensor& b) { return total(a * b); }

/// Calls use(begin, rows) for the rows of weight (less those of base, if there is one) as fp32
/// matrices of a few MB. Whole weights would be up to 50 MB each, and the C library does not give
/// such memory back piece by piece.
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

namespace {

constexpr size_t kModules = 12;
constexpr int64_t kLargestRank = 64;

/// rest of one module: is it a sizable low-rank matrix?
bool is_low_rank_rest(const Tensor& rest, const Tensor& change) {
  constexpr double kSizable = 0.2;
  if (rest.norm().item<double>() < kSizable * change.norm().item<double>()) return false;
  const auto m = static_cast<double>(rest.size(0)), n = static_cast<double>(rest.size(1));
  const int64_t rank = std::min<int64_t>(kLargestRank, std::min(rest.size(0), rest.size(1)) / 8);
  if (rank < 1) return false;
  const double noise =
      static_cast<double>(rank) * std::pow(std::sqrt(m) + std::sqrt(n), 2) / (m * n);
  return low_rank_share(rest, rank) > (1 + std::min(noise, 1.0)) / 2;
}

}  // namespace

double low_rank_share(const Tensor& matrix, int64_t rank) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(1);
  const Tensor probe = at::randn({matrix.size(1), rank}, generator, torch::kFloat);
  const Tensor basis = std::get<0>(torch::linalg_qr(torch::mm(matrix, probe)));
  const double whole = matrix.square().sum(torch::kDouble).item<double>();
  if (whole == 0) return 0;
  return torch::mm(basis.t(), matrix).square().sum(torch::kDouble).item<double>() / whole;
}

bool has_other_low_rank_change(const Checkpoint& checkpoint, const Checkpoint& base,
                               const LoraMatch& match, double strength) {
  size_t looked_at = 0, found = 0;
  const size_t step = std::max<size_t>(match.matched.size() / kModules, 1);
  for (size_t i = 0; i < match.matched.size(); i += step) {
    const MatchedModule& m = match.matched[i];
    const Tensor& now = checkpoint.components.at(m.component).at(m.parameter);
    if (now.dim() < 2 || m.module.dora_scale.defined()) continue;
    const Tensor& before = base.components.at(m.component).at(m.parameter);
    const Tensor change = delta(m.module, shape_of(now)).flatten(1);
    const Tensor difference = aligned(now).to(torch::kFloat) - aligned(before).to(torch::kFloat);
    found += is_low_rank_rest(difference.flatten(1) - change * strength, change) ? 1 : 0;
    ++looked_at;
  }
  return 2 * found > looked_at;
}

}  // namespace fourstep
