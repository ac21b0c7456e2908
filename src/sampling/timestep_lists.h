#pragma once
// The falling lists of timesteps and noise levels that diffusers and A1111 make by rules of their
// own, for a model trained on 1000 timesteps. steps: 1..1000; a list longer than the table allows
// is cut, never repeated.

#include <span>
#include <vector>

#include "sampling/noise_schedule.h"

namespace fourstep {

/// How diffusers spaces timesteps: its setting `timestep_spacing`.
enum class Spacing { kLeading, kTrailing, kLinspace };

/// The kinds of diffusers' schedulers whose lists differ.
enum class SolverKind {
  kEuler,  ///< Euler, Euler ancestral, Heun, LMS, DPMSolverSDE: linspace is fractional
  kKdpm2,  ///< KDPM2 and its ancestral one: as kEuler, but karras is told as whole timesteps
  kDdim,   ///< DDIM, DDPM, PNDM, and lists for LCM and TCD: linspace is rounded
  /// DPMSolver, UniPC, DEIS, SA-Solver: one timestep more is counted and the lowest left out
  kMultistep,
};

/// Counted from the end: 4 steps are 999, 749, 499, 249. Source: diffusers, timestep_spacing
/// "trailing".
std::vector<double> timesteps_trailing(int steps);

/// Multiples of 1000 div steps, plus SDXL's offset 1: 4 steps are 751, 501, 251, 1.
/// Source: diffusers, timestep_spacing "leading" with steps_offset 1.
std::vector<double> timesteps_leading(int steps);

/// Equally spaced from 999 to 0, fractional. Source: diffusers, timestep_spacing "linspace" of its
/// Euler schedulers (DDIM rounds the same list).
std::vector<double> timesteps_linspace(int steps);

/// The list of a kind of scheduler. For kMultistep leading divides by one more (4 steps are 801,
/// 601, 401, 201) and linspace leaves out 0. Source: diffusers' `set_timesteps`.
std::vector<double> diffusers_timesteps(SolverKind solver, Spacing spacing, int steps);

/// Picked out of the grid a latent consistency model was distilled on (`original_steps` timesteps,
/// 50: 19, 39, ..., 999), of which the lower share `strength` (0..1] is used: 4 steps are 999, 759,
/// 499, 259. TCD with an explicit original step count picks as with original_steps 1000, whatever
/// that count is.
/// Throws InvalidRequest when the grid has fewer timesteps than steps, or more than 1000.
/// Source: diffusers' LCMScheduler and TCDScheduler.
std::vector<double> timesteps_lcm(int steps, int original_steps = 50, double strength = 1);

/// The last share `strength` (0..1) of a list given by the user, rounded down to whole timesteps;
/// may be empty.
/// Source: diffusers' LCMScheduler with custom timesteps.
std::vector<double> last_timesteps(std::span<const double> timesteps, double strength);

// The noise levels of A1111's and Forge's "timestep samplers" (DDIM, DDIM CFG++, PLMS, UniPC),
// which do not take a schedule of the user's choice. None of them goes down to sigma 0.

/// Falling timesteps ..., 1 + 2 stride, 1 + stride, 1 with stride 1000 div steps, at most 999. The
/// samplers step from one to the next, so there may be one step less or several more than asked.
/// Throws InvalidRequest for fewer than 1 or more than 1000 steps.
std::vector<double> timesteps_a1111(int steps);

/// The noise levels of timesteps_a1111().
std::vector<double> schedule_a1111_ddim(const NoiseSchedule& schedule, int steps);

/// steps + 1 levels at equally spaced timesteps from the last to the first, see
/// sigma_from_log_alpha().
std::vector<double> schedule_a1111_unipc(const NoiseSchedule& schedule, int steps);

/// The noise level of a timestep with log(alpha_bar) linear between entries, clamped to the table.
/// Source: the NoiseScheduleVP of DPM-Solver (2206.00927) for discrete models.
double sigma_from_log_alpha(const NoiseSchedule& schedule, double timestep);

// The noise levels of diffusers' schedulers. Made for make_diffusers_noise_schedule(), diffusers'
// own table.

/// What becomes of the spaced noise levels: use_karras_sigmas, use_exponential_sigmas,
/// use_beta_sigmas.
enum class Remap { kNone, kKarras, kExponential, kBeta };

struct DiffusersList {
  SolverKind solver = SolverKind::kEuler;
  Spacing spacing = Spacing::kLeading;
  Remap remap = Remap::kNone;
  double rho = 7;                  ///< kKarras
  double alpha = 0.6, beta = 0.6;  ///< kBeta
};

/// steps + 1 noise levels, the last 0. Remapping keeps the range of the spaced levels; kMultistep
/// takes the whole table's instead. Source: diffusers' `set_timesteps` of its Euler, DDIM and
/// DPMSolverMultistep schedulers.
std::vector<double> diffusers_sigmas(const NoiseSchedule& schedule, const DiffusersList& list,
                                     int steps);

/// The fractional timestep of sigma (> 0), linear in log sigma between entries, clamped to the
/// table, with the logarithms of the table in float32 as diffusers keeps them: they decide on which
/// side of a whole timestep it is.
double diffusers_timestep(const NoiseSchedule& schedule, double sigma);

/// The timestep that the network is told at a level (> 0) that a remapping made: fractional;
/// rounded for kMultistep and for kKdpm2 with karras; rounded down for kMultistep with exponential
/// and beta. kNone: at a level of no list, such as the middle of a step. Source: `set_timesteps` of
/// diffusers' schedulers.
double diffusers_told_timestep(const NoiseSchedule& schedule, double sigma, SolverKind solver,
                               Remap remap);

}  // namespace fourstep
