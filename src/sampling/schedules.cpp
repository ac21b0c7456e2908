#include "sampling/schedules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "sampling/beta_distribution.h"
#include "sampling/find_row.h"
#include "sampling/timestep_lists.h"

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
  return polyexponential_sigmas(steps, {schedule.sigma_min(), schedule.sigma_max()}, /*rho=*/1);
}

std::vector<double> schedule_ddim_uniform(const NoiseSchedule& schedule, int steps) {
  const size_t size = schedule.sigmas.size(), stride = std::max<size_t>(size / steps, 1);
  std::vector<double> sigmas = {0};
  for (size_t j = 1; j < size; j += stride) sigmas.push_back(schedule.sigmas[j]);
  std::reverse(sigmas.begin(), sigmas.end());
  return sigmas;
}

std::vector<double> schedule_beta(const NoiseSchedule& schedule, int steps) {
  constexpr double kShape = 0.6;
  const double last = schedule.sigmas.size() - 1.0;
  std::vector<double> sigmas;
  for (int k = 0; k < steps; ++k) {
    const double quantile = beta_quantile(1 - static_cast<double>(k) / steps, kShape, kShape);
    // Half-way (the middle of an even step count) goes up: the reference's quantile lies just above.
    const double sigma = schedule.sigmas[static_cast<size_t>(std::round(quantile * last))];
    if (sigmas.empty() || sigma != sigmas.back()) sigmas.push_back(sigma);
  }
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> schedule_linear_quadratic(const NoiseSchedule& schedule, int steps) {
  constexpr double kThreshold = 0.025;  // share of the way that the linear half goes
  if (steps == 1) return {schedule.sigma_max(), 0};
  const int linear = steps / 2;
  const double square = std::pow(steps - linear, 2), slope = kThreshold / linear;
  const double remainder = linear - kThreshold * steps;
  const double a = remainder / (linear * square), b = slope - 2 * remainder / square;
  const double c = a * linear * linear;
  std::vector<double> progress;
  for (int i = 0; i < linear; ++i) progress.push_back(slope * i);
  for (int i = linear; i < steps; ++i) progress.push_back((a * i + b) * i + c);
  return mapped_then_zero(std::move(progress),
                          [&](double done) { return (1 - done) * schedule.sigma_max(); });
}

std::vector<double> schedule_kl_optimal(const NoiseSchedule& schedule, int steps) {
  return mapped_then_zero(
      linspace(std::atan(schedule.sigma_max()), std::atan(schedule.sigma_min()), steps),
      [](double angle) { return std::tan(angle); });
}

std::vector<double> schedule_turbo(const NoiseSchedule& schedule, int steps) {
  const double stride = 1000.0 / steps;
  std::vector<double> timesteps;
  for (int k = steps; k >= 1; --k) timesteps.push_back(std::nearbyint(k * stride - 1));
  return at_timesteps(schedule, std::move(timesteps));
}

std::vector<double> schedule_trailing(const NoiseSchedule& schedule, int steps) {
  return at_timesteps(schedule, timesteps_trailing(steps));
}

std::vector<double> schedule_leading(const NoiseSchedule& schedule, int steps) {
  return at_timesteps(schedule, timesteps_leading(steps));
}

std::vector<double> schedule_linspace(const NoiseSchedule& schedule, int steps) {
  return mapped_then_zero(timesteps_linspace(steps),
                          [&](double t) { return linear_sigma_from_timestep(schedule, t); });
}

std::vector<double> karras_sigmas(int steps, SigmaRange range, double rho) {
  return mapped_then_zero(
      linspace(std::pow(range.max, 1 / rho), std::pow(range.min, 1 / rho), steps),
      [rho](double root) { return std::pow(root, rho); });
}

std::vector<double> polyexponential_sigmas(int steps, SigmaRange range, double rho) {
  const double low = std::log(range.min), high = std::log(range.max);
  return mapped_then_zero(linspace(1, 0, steps), [&](double ramp) {
    return std::exp(std::pow(ramp, rho) * (high - low) + low);
  });
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
      ScheduleRow{"polyexponential", schedule_exponential, "exponential, by A1111's other name"},
      ScheduleRow{"beta", schedule_beta, "more steps at both ends (beta distribution 0.6, 0.6)"},
      ScheduleRow{"ddim_uniform", schedule_ddim_uniform,
                  "equally spaced entries from the lowest up"},
      ScheduleRow{"kl_optimal", schedule_kl_optimal, "equally spaced in atan sigma"},
      ScheduleRow{"linear_quadratic", schedule_linear_quadratic, "linear, then quadratic in sigma"},
      ScheduleRow{"turbo", schedule_turbo, "equally spaced timesteps, rounded up"},
      ScheduleRow{"trailing", schedule_trailing, "diffusers' trailing timesteps"},
      ScheduleRow{"leading", schedule_leading, "diffusers' leading timesteps (offset 1)"},
      ScheduleRow{"linspace", schedule_linspace, "diffusers' linspace timesteps"},
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
