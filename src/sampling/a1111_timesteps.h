#pragma once
// The noise levels of A1111's and Forge's "timestep samplers" (DDIM, DDIM CFG++, PLMS, UniPC), which do not
// take a schedule of the user's choice. None of them goes down to sigma 0.

#include <vector>

#include "sampling/noise_schedule.h"

namespace fourstep {

/// Falling timesteps ..., 1 + 2 stride, 1 + stride, 1 with stride 1000 div steps, at most 999. The
/// samplers step from one to the next, so there may be one step less or several more than asked.
/// Throws InvalidRequest for fewer than 1 or more than 1000 steps.
std::vector<double> timesteps_a1111(int steps);

/// The noise levels of timesteps_a1111().
std::vector<double> schedule_a1111_ddim(const NoiseSchedule& schedule, int steps);

/// steps + 1 levels at equally spaced timesteps from the last to the first, see sigma_from_log_alpha().
std::vector<double> schedule_a1111_unipc(const NoiseSchedule& schedule, int steps);

/// The noise level of a timestep with log(alpha_bar) linear between entries, clamped to the table.
/// Source: the NoiseScheduleVP of DPM-Solver (2206.00927) for discrete models.
double sigma_from_log_alpha(const NoiseSchedule& schedule, double timestep);

}  // namespace fourstep
