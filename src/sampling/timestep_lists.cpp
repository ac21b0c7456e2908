#include "sampling/timestep_lists.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr int kTrainTimesteps = 1000;
constexpr double kLast = kTrainTimesteps - 1;

}  // namespace

std::vector<double> timesteps_trailing(int steps) {
  const double stride = static_cast<double>(kTrainTimesteps) / steps;
  std::vector<double> timesteps;
  for (int k = 0; k < steps; ++k) {
    timesteps.push_back(std::nearbyint(kTrainTimesteps - k * stride) - 1);
  }
  return timesteps;
}

std::vector<double> timesteps_leading(int steps) {
  constexpr int kOffset = 1;
  const int stride = kTrainTimesteps / steps;  // whole, as there
  std::vector<double> timesteps;
  for (int k = steps - 1; k >= 0; --k) {
    const double timestep = k * stride + kOffset;
    if (timestep <= kLast) timesteps.push_back(timestep);
  }
  return timesteps;
}

std::vector<double> timesteps_linspace(int steps) {
  std::vector<double> timesteps;
  for (int k = steps - 1; k >= 0; --k) timesteps.push_back(k * kLast / std::max(steps - 1, 1));
  return timesteps;
}

std::vector<double> timesteps_lcm(int steps, int original_steps, double strength) {
  const int stride = kTrainTimesteps / original_steps;
  const int grid_size = static_cast<int>(original_steps * strength);
  if (steps > grid_size) {
    throw InvalidRequest("timesteps_lcm: {} steps out of a grid of {}, expected at most as many",
                         steps, grid_size);
  }
  std::vector<double> timesteps;
  for (int j = 0; j < steps; ++j) {
    const int picked = static_cast<int>(j * (static_cast<double>(grid_size) / steps));
    timesteps.push_back((grid_size - picked) * stride - 1);
  }
  return timesteps;
}

}  // namespace fourstep
