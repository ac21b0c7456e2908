#pragma once
// The noise levels a discrete diffusion model was trained on, and how a noise level and a timestep
// of that table turn into each other. All in double on the CPU.

#include <functional>
#include <vector>

namespace fourstep {

/// A table of noise levels, one for each timestep from 0.
struct NoiseSchedule {
  std::vector<double> alphas_cumprod;  ///< alpha_bar, falling
  std::vector<double> sigmas;          ///< sqrt((1 - alpha_bar) / alpha_bar), rising

  double sigma_min() const { return sigmas.front(); }
  double sigma_max() const { return sigmas.back(); }
  double last_timestep() const { return sigmas.size() - 1.0; }
};

/// SDXL (and SD 1.x): 1000 entries of "scaled linear" betas, beta_t = (sqrt(0.00085) + t/999 *
/// (sqrt(0.012) - sqrt(0.00085)))^2. Source: the published model configurations.
NoiseSchedule make_sdxl_noise_schedule();

/// The same table with the rounding of diffusers, which computes it in float32: sigmas differ from
/// the ninth digit at the top and from the fifth at the bottom.
NoiseSchedule make_diffusers_noise_schedule();

/// What programs put in place of the last alpha_bar, exactly 0 in the paper, so that sigma stays
/// finite.
constexpr double kComfyLastAlphaBar = 4.8973451890853435e-08;  ///< sigma 4518.76
constexpr double kDiffusersLastAlphaBar = 0x1p-24;             ///< its Euler schedulers: sigma 4096

/// Stretches the schedule so that its end is (all but) pure noise.
/// Source: Lin et al. 2023 (2305.08891), algorithm 1; ComfyUI's `zsnr` model sampling.
NoiseSchedule with_zero_terminal_snr(const NoiseSchedule& schedule,
                                     double last_alpha_bar = kComfyLastAlphaBar);

/// The timestep of the entry nearest to sigma (> 0) in log sigma; the lower of two equally near
/// ones.
/// Source: ComfyUI, Forge.
double nearest_timestep(const NoiseSchedule& schedule, double sigma);

/// The fractional timestep of sigma (> 0), linear in log sigma between entries, clamped to the
/// table.
/// Source: k-diffusion's DiscreteSchedule without quantisation, as A1111 uses it.
double interpolated_timestep(const NoiseSchedule& schedule, double sigma);

/// The timestep that a network is told at a noise level (> 0).
using TimestepOf = std::function<double(double sigma)>;

/// The noise level of a timestep: the table's own number at an entry, linear in log sigma between
/// two, clamped to the table. Source: k-diffusion, ComfyUI.
double sigma_from_timestep(const NoiseSchedule& schedule, double timestep);

/// The same, but linear in sigma between two entries. Source: diffusers' Euler schedulers.
double linear_sigma_from_timestep(const NoiseSchedule& schedule, double timestep);

/// The noise level when the share `percent` (0..1) of the timesteps is done: 0 gives 999999999.9
/// (before the first step), 1 gives 0. Source: ComfyUI's `percent_to_sigma`.
double sigma_from_percent(const NoiseSchedule& schedule, double percent);

}  // namespace fourstep
