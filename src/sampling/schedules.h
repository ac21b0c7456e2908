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

/// Table entries 1, 1 + stride, 1 + 2 stride, ... from the top down, stride = size div steps: sigma_max is
/// missing, and there may be more or fewer steps than asked. Source: ComfyUI `ddim_scheduler`, A1111 "DDIM".
std::vector<double> schedule_ddim_uniform(const NoiseSchedule& schedule, int steps);

/// Entries at the quantiles of the beta distribution with a = b = 0.6: more steps at both ends. Equal
/// entries are taken once. Source: Lee et al. 2024 (2407.12173); ComfyUI `beta_scheduler`.
std::vector<double> schedule_beta(const NoiseSchedule& schedule, int steps);

/// sigma falls linearly to 97.5% of sigma_max in the first half of the steps, then quadratically to 0.
/// Source: ComfyUI `linear_quadratic_schedule`, made for Polyak et al. 2024 (2410.13720), section 3.2.
std::vector<double> schedule_linear_quadratic(const NoiseSchedule& schedule, int steps);

/// atan sigma equally spaced from sigma_max to sigma_min. Source: Sabour et al. 2024 (2404.14507), theorem
/// 3.1; ComfyUI `kl_optimal_scheduler` (whose single step is NaN; here it starts at sigma_max).
std::vector<double> schedule_kl_optimal(const NoiseSchedule& schedule, int steps);

/// Timesteps 1000 (k + 1) / steps - 1, rounded. Source: Forge "Turbo".
std::vector<double> schedule_turbo(const NoiseSchedule& schedule, int steps);

/// diffusers' timestep spacings (see timestep_lists.h); sigma is linear in fractional timesteps, as there.
std::vector<double> schedule_trailing(const NoiseSchedule& schedule, int steps);
std::vector<double> schedule_leading(const NoiseSchedule& schedule, int steps);
std::vector<double> schedule_linspace(const NoiseSchedule& schedule, int steps);

/// A range of noise levels, 0 < min < max.
struct SigmaRange {
  double min, max;
};

/// sigma^(1/rho) equally spaced. Source: as schedule_karras, for any range and rho.
std::vector<double> karras_sigmas(int steps, SigmaRange range, double rho);

/// log sigma falls as the rho-th power of a straight line; rho 1 is schedule_exponential.
/// Source: k-diffusion `get_sigmas_polyexponential`.
std::vector<double> polyexponential_sigmas(int steps, SigmaRange range, double rho);

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
