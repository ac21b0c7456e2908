#pragma once
// Schedules that pick entries or timesteps of the model's own table of noise levels. Lists fall and
// end in an appended 0. Any table will do: SDXL's, or one with zero terminal SNR.

#include <span>
#include <vector>

#include "sampling/noise_schedule.h"

namespace fourstep {

/// The noise levels of timesteps, whole or fractional (linear in log sigma), clamped to the table,
/// and a final 0.
std::vector<double> sigmas_at(const NoiseSchedule& schedule, std::span<const double> timesteps);

/// The same, linear in sigma between entries. Source: diffusers.
std::vector<double> linear_sigmas_at(const NoiseSchedule& schedule,
                                     std::span<const double> timesteps);

/// The noise levels of a falling list of timesteps (whole or fractional, within the table), and a
/// final 0.
/// Throws InvalidRequest naming the first timestep that is out of range or does not fall.
std::vector<double> sigmas_from_timesteps(const NoiseSchedule& schedule,
                                          std::span<const double> timesteps);

/// DMD2's timesteps: entry 999 - int(k 1000/steps), so that 4 steps are 999, 749, 499, 249 and
/// other numbers of steps extend the same rule; one step is 399, which the one-step model was
/// distilled at.
/// Source: Yin et al. 2024 (2405.14867) and its published SDXL models.
std::vector<double> dmd2_sigmas(const NoiseSchedule& schedule, int steps);

/// Equally spaced table entries from the last down, rounded up. Source: ComfyUI `simple_scheduler`.
std::vector<double> simple_sigmas(const NoiseSchedule& schedule, int steps);

/// Timesteps, the first the higher; for normal and sgm_uniform usually the ends of the table.
struct TimestepRange {
  double first, last;
};

/// Equally spaced timesteps, both ends included. Source: k-diffusion `get_sigmas`, "normal" in
/// ComfyUI, "uniform" in A1111.
std::vector<double> normal_sigmas(const NoiseSchedule& schedule, int steps, TimestepRange range);

/// Equally spaced timesteps, the last left out. Source: Stability's generative-models.
std::vector<double> sgm_uniform_sigmas(const NoiseSchedule& schedule, int steps,
                                       TimestepRange range);

/// Table entries 1, 1 + stride, 1 + 2 stride, ... from the top down, stride = size div steps:
/// sigma_max is missing, and there may be more or fewer steps than asked. Source: ComfyUI
/// `ddim_scheduler`, A1111 "DDIM".
std::vector<double> ddim_uniform_sigmas(const NoiseSchedule& schedule, int steps);

/// Entries at the quantiles of a beta distribution; alpha = beta = 0.6 puts more steps at both
/// ends. Equal entries are taken once. alpha, beta > 0.
/// Source: Lee et al. 2024 (2407.12173); ComfyUI `beta_scheduler`.
std::vector<double> beta_entry_sigmas(const NoiseSchedule& schedule, int steps, double alpha,
                                      double beta);

/// Entries at u^2 (3 - 2 u) of the way up, for u falling equally from 1; equal entries are taken
/// once. Source: stable-diffusion.cpp `SmoothStepScheduler`.
std::vector<double> smoothstep_sigmas(const NoiseSchedule& schedule, int steps);

/// Timesteps 1000 (k + 1) / steps - 1, rounded. Source: Forge "Turbo".
std::vector<double> turbo_sigmas(const NoiseSchedule& schedule, int steps);

/// `steps` of the timesteps 999, 899, ..., 99, the first 10 - int(10 denoise) left out; fewer when
/// there are no more. Throws InvalidRequest for more than 10 steps and for a denoise below 0.1.
/// Source: ComfyUI's SDTurboScheduler node.
std::vector<double> sd_turbo_sigmas(const NoiseSchedule& schedule, int steps, double denoise);

}  // namespace fourstep
