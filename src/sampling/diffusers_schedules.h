#pragma once
// The noise levels of diffusers' schedulers. Made for make_diffusers_noise_schedule(), diffusers' own table.

#include <span>
#include <vector>

#include "sampling/noise_schedule.h"
#include "sampling/timestep_lists.h"

namespace fourstep {

/// What becomes of the spaced noise levels: use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas.
enum class Remap { kNone, kKarras, kExponential, kBeta };

struct DiffusersList {
  SolverKind solver = SolverKind::kEuler;
  Spacing spacing = Spacing::kLeading;
  Remap remap = Remap::kNone;
  double rho = 7;                  ///< kKarras
  double alpha = 0.6, beta = 0.6;  ///< kBeta
};

/// steps + 1 noise levels, the last 0. Remapping keeps the range of the spaced levels; kMultistep takes the
/// whole table's instead. Source: diffusers' `set_timesteps` of its Euler, DDIM and DPMSolverMultistep
/// schedulers.
std::vector<double> diffusers_sigmas(const NoiseSchedule& schedule, const DiffusersList& list,
                                     int steps);

/// The fractional timestep of sigma (> 0), linear in log sigma between entries, clamped to the table, with the
/// logarithms of the table in float32 as diffusers keeps them: they decide on which side of a whole timestep it is.
double diffusers_timestep(const NoiseSchedule& schedule, double sigma);

/// The timestep that the network is told at a level (> 0) that a remapping made: fractional; rounded for kMultistep
/// and for kKdpm2 with karras; rounded down for kMultistep with exponential and beta. kNone: at a level of no list, such
/// as the middle of a step. Source: `set_timesteps` of diffusers' schedulers.
double diffusers_told_timestep(const NoiseSchedule& schedule, double sigma, SolverKind solver,
                               Remap remap);

}  // namespace fourstep
