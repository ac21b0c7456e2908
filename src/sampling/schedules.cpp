#include "sampling/schedules.h"

#include <array>
#include <cmath>

#include "base/error.h"
#include "sampling/find_row.h"

namespace fourstep {

namespace {

constexpr int kMaxSteps = 1000;

/// n equally spaced numbers from first to last inclusive; first alone when n is 1.
std::vector<double> linspace(double first, double last, int n) {
  std::vector<double> values = {first};
  for (int k = 1; k < n; ++k) values.push_back(first + k * (last - first) / (n - 1));
  return values;
}

/// Replaces each number by function(number) and appends the final 0.
template <typename Function>
std::vector<double> mapped_then_zero(std::vector<double> values, const Function& function) {
  for (double& value : values) value = function(value);
  values.push_back(0);
  return values;
}

/// Entry of step k when `steps` divide a table of `size` entries equally, from the last entry down. The
/// quotient is taken first, as in ComfyUI: for a few numbers of steps its rounding decides the entry.
size_t entry_from_end(size_t size, int steps, int k) {
  return size - 1 - static_cast<size_t>(k * (static_cast<double>(size) / steps));
}

std::vector<double> at_timesteps(const NoiseSchedule& schedule, std::vector<double> timesteps) {
  return mapped_then_zero(std::move(timesteps),
                          [&](double t) { return sigma_from_timestep(schedule, t); });
}

}  // namespace

std::vector<double> schedule_dmd2(const NoiseSchedule& schedule, int steps) {
  constexpr int kTrainTimesteps = 1000;
  constexpr double kOneStepTimestep = 399;
  if (steps == 1) return at_timesteps(schedule, {kOneStepTimestep});
  std::vector<double> timesteps;
  for (int k = 0; k < steps; ++k) timesteps.push_back(entry_from_end(kTrainTimesteps, steps, k));
  return at_timesteps(schedule, std::move(timesteps));
}

std::vector<double> schedule_simple(const NoiseSchedule& schedule, int steps) {
  std::vector<double> sigmas;
  for (int k = 0; k < steps; ++k) {
    sigmas.push_back(schedule.sigmas[entry_from_end(schedule.sigmas.size(), steps, k)]);
  }
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> schedule_normal(const NoiseSchedule& schedule, int steps) {
  return at_timesteps(schedule, linspace(schedule.last_timestep(), schedule.first_timestep, steps));
}

std::vector<double> schedule_sgm_uniform(const NoiseSchedule& schedule, int steps) {
  auto timesteps = linspace(schedule.last_timestep(), schedule.first_timestep, steps + 1);
  timesteps.pop_back();
  return at_timesteps(schedule, std::move(timesteps));
}

std::vector<double> schedule_karras(const NoiseSchedule& schedule, int steps) {
  return karras_sigmas(steps, {schedule.sigma_min(), schedule.sigma_max()}, /*rho=*/7);
}

std::vector<double> schedule_exponential(const NoiseSchedule& schedule, int steps) {
  return mapped_then_zero(
      linspace(std::log(schedule.sigma_max()), std::log(schedule.sigma_min()), steps),
      [](double log_sigma) { return std::exp(log_sigma); });
}

std::vector<double> karras_sigmas(int steps, SigmaRange range, double rho) {
  return mapped_then_zero(
      linspace(std::pow(range.max, 1 / rho), std::pow(range.min, 1 / rho), steps),
      [rho](double root) { return std::pow(root, rho); });
}

std::vector<double> sigmas_from_timesteps(const NoiseSchedule& schedule,
                                          std::span<const double> timesteps) {
  const double first = schedule.first_timestep, last = schedule.last_timestep();
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const double t = timesteps[i];
    if (!(t >= first && t <= last)) {
      throw InvalidRequest("timestep {} of the list is {}, expected a number from {} to {}", i + 1,
                           t, first, last);
    }
    if (i > 0 && t >= timesteps[i - 1]) {
      throw InvalidRequest("timestep {} of the list is {} after {}, expected a falling list", i + 1,
                           t, timesteps[i - 1]);
    }
  }
  return at_timesteps(schedule, {timesteps.begin(), timesteps.end()});
}

std::span<const ScheduleRow> schedule_rows() {
  static constexpr std::array kRows = {
      ScheduleRow{"dmd2", schedule_dmd2, "the timesteps DMD2 models were distilled at"},
      ScheduleRow{"simple", schedule_simple, "equally spaced entries of the model's table"},
      ScheduleRow{"normal", schedule_normal, "equally spaced timesteps, both ends included"},
      ScheduleRow{"sgm_uniform", schedule_sgm_uniform,
                  "equally spaced timesteps, the last left out"},
      ScheduleRow{"karras", schedule_karras, "more steps at low noise (rho 7)"},
      ScheduleRow{"exponential", schedule_exponential, "equally spaced in log sigma"},
  };
  return kRows;
}

std::vector<double> make_sigmas(std::string_view name, const NoiseSchedule& schedule, int steps) {
  const ScheduleRow& row = find_row(schedule_rows(), "schedule", name);
  if (steps < 1 || steps > kMaxSteps) {
    throw InvalidRequest("schedule \"{}\": {} steps, expected 1 to {}", name, steps, kMaxSteps);
  }
  return row.function(schedule, steps);
}

}  // namespace fourstep
