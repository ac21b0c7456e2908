#pragma once
// The falling lists of timesteps that diffusers' schedulers use, for a model trained on 1000 timesteps.
// steps: 1..1000; a list longer than the table allows is cut, never repeated.

#include <vector>

namespace fourstep {

/// Counted from the end: 4 steps are 999, 749, 499, 249. Source: diffusers, timestep_spacing "trailing".
std::vector<double> timesteps_trailing(int steps);

/// Multiples of 1000 div steps, plus SDXL's offset 1: 4 steps are 751, 501, 251, 1.
/// Source: diffusers, timestep_spacing "leading" with steps_offset 1.
std::vector<double> timesteps_leading(int steps);

/// Equally spaced from 999 to 0, fractional. Source: diffusers, timestep_spacing "linspace" of its Euler
/// schedulers (DDIM rounds the same list).
std::vector<double> timesteps_linspace(int steps);

/// Picked out of the grid a latent consistency model was distilled on (`original_steps` timesteps, 50: 19, 39,
/// ..., 999), of which the lower share `strength` (0..1] is used: 4 steps are 999, 759, 499, 259.
/// Throws InvalidRequest when the grid has fewer timesteps than steps. Source: diffusers' LCMScheduler.
std::vector<double> timesteps_lcm(int steps, int original_steps = 50, double strength = 1);

}  // namespace fourstep
