#include "report/swings.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fourstep {

namespace {

constexpr size_t kMinPoints = 40;
constexpr size_t kTransientPoints = 50;
constexpr size_t kHalfWindow = 25;

double sum_of_products(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(b.size()), b.begin(),
                            0.0);
}

/// `values` without their least-squares line.
std::vector<double> detrended(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  const double middle = (count - 1) / 2, mean = mean_of(values);
  double slope = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    slope += (static_cast<double>(i) - middle) * (values[i] - mean);
  }
  slope /= count * (count * count - 1) / 12;  // the sum of (i - middle)^2
  std::vector<double> out;
  for (size_t i = 0; i < values.size(); ++i) {
    out.push_back(values[i] - mean - slope * (static_cast<double>(i) - middle));
  }
  return out;
}

/// How often `values` go from above `threshold` to below -threshold or back.
size_t count_alternations(std::span<const double> values, double threshold) {
  size_t count = 0;
  int side = 0;
  for (const double value : values) {
    const int now = value > threshold ? 1 : value < -threshold ? -1 : side;
    if (side != 0 && now != side) ++count;
    side = now;
  }
  return count;
}

}  // namespace

double mean_of(std::span<const double> values) {
  return std::reduce(values.begin(), values.end()) / static_cast<double>(values.size());
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::optional<Swing> find_swing(std::span<const double> values) {
  if (values.size() < kMinPoints) return std::nullopt;
  const std::vector<double> rest = detrended(values);
  const double energy = sum_of_products(rest, rest);
  const double neighbours = sum_of_products(rest, std::span(rest).subspan(1));
  if (!(energy > 0) || neighbours < 0.3 * energy) return std::nullopt;
  const double deviation = std::sqrt(energy / static_cast<double>(rest.size()));
  const size_t alternations = count_alternations(rest, deviation / 2);
  if (alternations < 4) return std::nullopt;
  return Swing{deviation,
               2.0 * static_cast<double>(rest.size()) / static_cast<double>(alternations)};
}

std::vector<size_t> find_spikes(std::span<const double> values, double factor) {
  std::vector<size_t> spikes;
  bool is_inside = false;
  for (size_t i = kTransientPoints; i < values.size(); ++i) {
    const size_t first = i - kHalfWindow, last = std::min(values.size(), i + kHalfWindow + 1);
    const auto around = values.subspan(first, last - first);
    const bool is_high = values[i] > factor * median_of({around.begin(), around.end()});
    if (is_high && !is_inside) spikes.push_back(i);
    if (is_high && values[i] > values[spikes.back()]) spikes.back() = i;
    is_inside = is_high;
  }
  return spikes;
}

}  // namespace fourstep
