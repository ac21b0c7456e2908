#pragma once
// Oscillations and spikes in series of numbers, for health.h.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace fourstep {

struct Swing {
  double deviation = 0;      ///< standard deviation around the linear trend
  double period_points = 0;  ///< values per full swing
};

/// A slow oscillation of `values` around their linear trend: at least two full swings, each point like its
/// neighbour (autocorrelation at lag 1 of at least 0.3, which noise and single outliers do not have). Nothing for
/// fewer than 40 values.
std::optional<Swing> find_swing(std::span<const double> values);

/// Indices of the peaks above `factor` times the median of the 51 values around them; of neighbouring values above
/// it the largest alone. The first 50 values are passed over: many series begin with a transient. values >= 0.
std::vector<size_t> find_spikes(std::span<const double> values, double factor);

double median_of(std::vector<double> values);  ///< values: at least one
double mean_of(std::span<const double> values);

}  // namespace fourstep
