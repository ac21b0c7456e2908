#pragma once
// Which noise levels to sample at. A schedule is a free function of the model's table and a number of steps;
// `schedule_rows` names them. Every result falls from sigmas[0] and ends in an appended 0.
// A new schedule is one function here, one row in the table and its test.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/noise_schedule.h"

namespace fourstep {

/// DMD2's timesteps: entry 999 - int(k 1000/steps), so that 4 steps are 999, 749, 499, 249 and other
/// numbers of steps extend the same rule; one step is 399, which the one-step model was distilled at.
/// Source: Yin et al. 2024 (2405.14867) and its published SDXL models.
std::vector<double> schedule_dmd2(const NoiseSchedule& schedule, int steps);

/// Equally spaced table entries from the last down, rounded up. Source: ComfyUI `simple_scheduler`.
std::vector<double> schedule_simple(const NoiseSchedule& schedule, int steps);

/// Equally spaced timesteps from the last to the first inclusive. Source: k-diffusion `get_sigmas`, "normal"
/// in ComfyUI, "uniform" in A1111.
std::vector<double> schedule_normal(const NoiseSchedule& schedule, int steps);

/// Equally spaced timesteps from the last, the first left out. Source: Stability's generative-models.
std::vector<double> schedule_sgm_uniform(const NoiseSchedule& schedule, int steps);

/// sigma^(1/7) equally spaced from sigma_max to sigma_min. Source: Karras et al. 2022 (2206.00364), eq. 5.
std::vector<double> schedule_karras(const NoiseSchedule& schedule, int steps);

/// log sigma equally spaced from sigma_max to sigma_min. Source: k-diffusion `get_sigmas_exponential`.
std::vector<double> schedule_exponential(const NoiseSchedule& schedule, int steps);

/// A range of noise levels, 0 < min < max.
struct SigmaRange {
  double min, max;
};

/// sigma^(1/rho) equally spaced. Source: as schedule_karras, for any range and rho.
std::vector<double> karras_sigmas(int steps, SigmaRange range, double rho);

/// The noise levels of a falling list of timesteps (whole or fractional, within the table), and a final 0.
/// Throws InvalidRequest naming the first timestep that is out of range or does not fall.
std::vector<double> sigmas_from_timesteps(const NoiseSchedule& schedule,
                                          std::span<const double> timesteps);

struct ScheduleRow {
  std::string_view name;
  std::vector<double> (*function)(const NoiseSchedule& schedule, int steps);
  std::string_view help;  ///< one line for lists of choices
};

/// All schedules, in the order in which to show them.
std::span<const ScheduleRow> schedule_rows();

/// The schedule `name` for a number of steps: normally steps + 1 noise levels, the last 0.
/// Throws InvalidRequest when the name is unknown (listing the known ones) or steps is not in 1..1000.
std::vector<double> make_sigmas(std::string_view name, const NoiseSchedule& schedule, int steps);

}  // namespace fourstep
