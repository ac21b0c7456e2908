#include "sampling/table_schedules.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "sampling/sigma_lists.h"

namespace fourstep {

namespace {

/// Entry of step k when `steps` divide a table of `size` entries equally, from the last entry down.
/// The quotient is taken first, as in ComfyUI: for a few numbers of steps its rounding decides the
/// entry.
size_t entry_from_end(size_t size, int steps, int k) {
  return size - 1 - static_cast<size_t>(k * (static_cast<double>(size) / steps));
}

template <typename Function>
std::vector<double> mapped_then_zero(std::span<const double> values, const Function& function) {
  std::vector<double> sigmas;
  for (const double value : values) sigmas.push_back(function(value));
  sigmas.push_back(0);
  return sigmas;
}

}  // namespace

std::vector<double> sigmas_at(const NoiseSchedule& schedule, std::span<const double> timesteps) {
  return mapped_then_zero(timesteps, [&](double t) { return sigma_from_timestep(schedule, t); });
}

std::vector<double> linear_sigmas_at(const NoiseSchedule& schedule,
                                     std::span<const double> timesteps) {
  return mapped_then_zero(timesteps,
                          [&](double t) { return linear_sigma_from_timestep(schedule, t); });
}

std::vector<double> sigmas_from_timesteps(const NoiseSchedule& schedule,
                                          std::span<const double> timesteps) {
  const double last = schedule.last_timestep();
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const double t = timesteps[i];
    if (!(t >= 0 && t <= last)) {
      throw InvalidRequest("timestep {} of the list is {}, expected a number from 0 to {}", i + 1,
                           t, last);
    }
    if (i > 0 && t >= timesteps[i - 1]) {
      throw InvalidRequest("timestep {} of the list is {} after {}, expected a falling list", i + 1,
                           t, timesteps[i - 1]);
    }
  }
  return sigmas_at(schedule, timesteps);
}

std::vector<double> dmd2_sigmas(const NoiseSchedule& schedule, int steps) {
  constexpr int kTrainTimesteps = 1000;
  constexpr double kOneStepTimestep = 399;
  if (steps == 1) return sigmas_at(schedule, std::array{kOneStepTimestep});
  std::vector<double> timesteps;
  for (int k = 0; k < steps; ++k) timesteps.push_back(entry_from_end(kTrainTimesteps, steps, k));
  return sigmas_at(schedule, timesteps);
}

std::vector<double> simple_sigmas(const NoiseSchedule& schedule, int steps) {
  std::vector<double> sigmas;
  for (int k = 0; k < steps; ++k) {
    sigmas.push_back(schedule.sigmas[entry_from_end(schedule.sigmas.size(), steps, k)]);
  }
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> normal_sigmas(const NoiseSchedule& schedule, int steps, TimestepRange range) {
  return sigmas_at(schedule, equally_spaced(range.first, range.last, steps));
}

std::vector<double> sgm_uniform_sigmas(const NoiseSchedule& schedule, int steps,
                                       TimestepRange range) {
  auto timesteps = equally_spaced(range.first, range.last, steps + 1);
  timesteps.pop_back();
  return sigmas_at(schedule, timesteps);
}

std::vector<double> ddim_uniform_sigmas(const NoiseSchedule& schedule, int steps) {
  const size_t size = schedule.sigmas.size(), stride = std::max<size_t>(size / steps, 1);
  std::vector<double> sigmas = {0};
  for (size_t j = 1; j < size; j += stride) sigmas.push_back(schedule.sigmas[j]);
  std::reverse(sigmas.begin(), sigmas.end());
  return sigmas;
}

std::vector<double> beta_entry_sigmas(const NoiseSchedule& schedule, int steps, double alpha,
                                      double beta) {
  const double last = schedule.sigmas.size() - 1.0;
  const double stride = 1.0 / steps;  // first, as in numpy: its rounding decides half-way cases
  const bool is_uniform = alpha == 1 && beta == 1;
  std::vector<double> sigmas;
  for (int k = 0; k < steps; ++k) {
    const double place = beta_quantile(1 - k * stride, alpha, beta) * last;
    // Half-way goes to the even entry. The middle of an even step count goes up: but for a uniform
    // distribution the reference's quantile lies just above.
    const double entry = is_uniform ? std::nearbyint(place) : std::round(place);
    const double sigma = schedule.sigmas[static_cast<size_t>(entry)];
    if (sigmas.empty() || sigma != sigmas.back()) sigmas.push_back(sigma);
  }
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> smoothstep_sigmas(const NoiseSchedule& schedule, int steps) {
  const double last = schedule.sigmas.size() - 1.0;
  std::vector<double> sigmas;
  for (int k = 0; k < steps; ++k) {
    const double u = 1 - static_cast<double>(k) / steps;
    const double entry = std::round(u * u * (3 - 2 * u) * last);
    const double sigma = schedule.sigmas[static_cast<size_t>(entry)];
    if (sigmas.empty() || sigma != sigmas.back()) sigmas.push_back(sigma);
  }
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> turbo_sigmas(const NoiseSchedule& schedule, int steps) {
  const double stride = 1000.0 / steps;
  std::vector<double> timesteps;
  for (int k = steps; k >= 1; --k) timesteps.push_back(std::nearbyint(k * stride - 1));
  return sigmas_at(schedule, timesteps);
}

std::vector<double> sd_turbo_sigmas(const NoiseSchedule& schedule, int steps, double denoise) {
  constexpr int kGrid = 10, kStride = 100;
  const int start = kGrid - static_cast<int>(kGrid * denoise);
  if (steps > kGrid || start >= kGrid) {
    throw InvalidRequest(
        "sd_turbo: {} steps with denoise {}, expected 1 to {} steps and a denoise of 0.1 to 1",
        steps, denoise, kGrid);
  }
  std::vector<double> timesteps;
  for (int k = start; k < std::min(start + steps, kGrid); ++k) {
    timesteps.push_back((kGrid - k) * kStride - 1);
  }
  return sigmas_at(schedule, timesteps);
}

}  // namespace fourstep
