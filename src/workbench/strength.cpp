#include "workbench/strength.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

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
    // A module far off pulls with the same force wherever the centre is: it does not hold it in place.
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
  if (modules.empty()) throw Error(std::string("lora detect: no module to measure"));
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

}  // namespace fourstep
