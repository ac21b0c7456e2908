#pragma once
// The falling lists of timesteps that diffusers' schedulers use, for a model trained on 1000 timesteps.
// steps: 1..1000; a list longer than the table allows is cut, never repeated.

#include <span>
#include <vector>

namespace fourstep {

/// How diffusers spaces timesteps: its setting `timestep_spacing`.
enum class Spacing { kLeading, kTrailing, kLinspace };

/// The kinds of diffusers' schedulers whose lists differ.
enum class SolverKind {
  kEuler,  ///< Euler, Euler ancestral, Heun, LMS, DPMSolverSDE: linspace is fractional
  kKdpm2,  ///< KDPM2 and its ancestral one: as kEuler, but karras is told as whole timesteps
  kDdim,   ///< DDIM, DDPM, PNDM, and lists for LCM and TCD: linspace is rounded
  kMultistep,  ///< DPMSolver, UniPC, DEIS, SA-Solver: one timestep more is counted and the lowest left out
};

/// Counted from the end: 4 steps are 999, 749, 499, 249. Source: diffusers, timestep_spacing "trailing".
std::vector<double> timesteps_trailing(int steps);

/// Multiples of 1000 div steps, plus SDXL's offset 1: 4 steps are 751, 501, 251, 1.
/// Source: diffusers, timestep_spacing "leading" with steps_offset 1.
std::vector<double> timesteps_leading(int steps);

/// Equally spaced from 999 to 0, fractional. Source: diffusers, timestep_spacing "linspace" of its Euler
/// schedulers (DDIM rounds the same list).
std::vector<double> timesteps_linspace(int steps);

/// The list of a kind of scheduler. For kMultistep leading divides by one more (4 steps are 801, 601, 401,
/// 201) and linspace leaves out 0. Source: diffusers' `set_timesteps`.
std::vector<double> diffusers_timesteps(SolverKind solver, Spacing spacing, int steps);

/// Picked out of the grid a latent consistency model was distilled on (`original_steps` timesteps, 50: 19,
/// 39, ..., 999), of which the lower share `strength` (0..1] is used: 4 steps are 999, 759, 499, 259. TCD
/// with an explicit original step count picks as with original_steps 1000, whatever that count is.
/// Throws InvalidRequest when the grid has fewer timesteps than steps, or more than 1000.
/// Source: diffusers' LCMScheduler and TCDScheduler.
std::vector<double> timesteps_lcm(int steps, int original_steps = 50, double strength = 1);

/// The last share `strength` (0..1) of a list given by the user, rounded down to whole timesteps; may be
/// empty.
/// Source: diffusers' LCMScheduler with custom timesteps.
std::vector<double> last_timesteps(std::span<const double> timesteps, double strength);

}  // namespace fourstep
