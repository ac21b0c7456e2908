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
  const int stride = std::max(kTrainTimesteps / steps, 1);  // whole, as there
  std::vector<double> timesteps;
  for (int k = steps - 1; k >= 0; --k) {
    const double timestep = k * stride + kOffset;
    if (timestep <= kLast) timesteps.push_back(timestep);
  }
  return timesteps;
}

std::vector<double> timesteps_linspace(int steps) {
  if (steps == 1) return {0};
  const double stride = kLast / (steps - 1);
  std::vector<double> timesteps = {kLast};
  // The stride is taken first, as in numpy: its rounding decides half-way cases.
  for (int k = steps - 2; k >= 0; --k) timesteps.push_back(k * stride);
  return timesteps;
}

std::vector<double> diffusers_timesteps(SolverKind solver, Spacing spacing, int steps) {
  if (spacing == Spacing::kTrailing) return timesteps_trailing(steps);
  const bool is_leading = spacing == Spacing::kLeading;
  if (solver != SolverKind::kMultistep) {
    auto timesteps = is_leading ? timesteps_leading(steps) : timesteps_linspace(steps);
    for (double& t : timesteps) t = solver == SolverKind::kDdim ? std::nearbyint(t) : t;
    return timesteps;
  }
  auto timesteps = is_leading ? timesteps_leading(steps + 1) : timesteps_linspace(steps + 1);
  timesteps.pop_back();
  for (double& t : timesteps) t = std::nearbyint(t);
  timesteps.erase(std::unique(timesteps.begin(), timesteps.end()), timesteps.end());
  return timesteps;
}

std::vector<double> timesteps_lcm(int steps, int original_steps, double strength) {
  if (original_steps < 1 || original_steps > kTrainTimesteps) {
    throw InvalidRequest("timesteps_lcm: a model distilled on {} timesteps, expected 1 to {}",
                         original_steps, kTrainTimesteps);
  }
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

std::vector<double> last_timesteps(std::span<const double> timesteps, double strength) {
  if (!(strength >= 0)) throw InvalidRequest("strength {}, expected 0 to 1", strength);
  const double share = std::min(strength, 1.0) * static_cast<double>(timesteps.size());
  const auto kept = timesteps.last(static_cast<size_t>(share));
  return {kept.begin(), kept.end()};
}

}  // namespace fourstep
