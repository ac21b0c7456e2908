#include "sampling/a1111_timesteps.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr int kA1111Timesteps = 1000;

void check_steps(int steps) {
  if (steps < 1 || steps > kA1111Timesteps) {
    throw InvalidRequest("A1111's timesteps: {} steps, expected 1 to {}", steps, kA1111Timesteps);
  }
}

}  // namespace

std::vector<double> timesteps_a1111(int steps) {
  check_steps(steps);
  std::vector<double> timesteps;
  for (int t = 0; t < kA1111Timesteps; t += kA1111Timesteps / steps) {
    timesteps.push_back(std::min(t + 1, kA1111Timesteps - 1));
  }
  std::reverse(timesteps.begin(), timesteps.end());
  return timesteps;
}

std::vector<double> schedule_a1111_ddim(const NoiseSchedule& schedule, int steps) {
  std::vector<double> sigmas;
  for (const double t : timesteps_a1111(steps)) sigmas.push_back(sigma_from_timestep(schedule, t));
  return sigmas;
}

std::vector<double> schedule_a1111_unipc(const NoiseSchedule& schedule, int steps) {
  check_steps(steps);
  const double last = schedule.last_timestep();
  std::vector<double> sigmas;
  for (int k = 0; k <= steps; ++k) {
    sigmas.push_back(sigma_from_log_alpha(schedule, last - last * k / steps));
  }
  return sigmas;
}

double sigma_from_log_alpha(const NoiseSchedule& schedule, double timestep) {
  const double index = std::clamp(timestep, 0.0, schedule.last_timestep());
  const double low = std::floor(index);
  const auto log_alpha = [&](double entry) {
    return std::log(schedule.alphas_cumprod[static_cast<size_t>(entry)]);
  };
  const double value =
      log_alpha(low) + (log_alpha(std::ceil(index)) - log_alpha(low)) * (index - low);
  return std::sqrt(std::expm1(-value));
}

}  // namespace fourstep
