#pragma once
// From what a network returns (eps, v, ...) to an estimate of the clean latent, and the start of
// sampling. Everything here is computed in the precision of x (fp32, fp64), never in the network's:
// near sigma_max, eps -> x0 subtracts nearly equal numbers, which half precision does not survive.

#include <functional>

#include "base/tensor.h"
#include "sampling/denoiser.h"
#include "sampling/noise_schedule.h"

namespace fourstep {

/// What the network's output stands for.
enum class NetworkOutput { kEps, kV, kEdm, kX0 };

/// A network: x_scaled: [B,4,h,w], of unit variance (x / sqrt(1 + sigma^2)); timestep: [B] fp32 on
/// x's device.
/// Returns [B,4,h,w] in any floating dtype.
using Network = std::function<Tensor(const Tensor& x_scaled, const Tensor& timestep)>;

/// Makes the samplers' view of a network: scales the input, finds the timestep, converts the
/// output. The network casts its input to its own dtype; the Denoiser returns the dtype of x.
Denoiser make_denoiser(Network network, TimestepOf timestep_of, NetworkOutput output);

/// The same with the nearest timesteps of a table.
Denoiser make_denoiser(Network network, NoiseSchedule schedule, NetworkOutput output);

/// The nearest timesteps of a table, whole ones, as ComfyUI and Forge tell them to the network.
TimestepOf timestep_of_table(NoiseSchedule schedule);

/// x / sqrt(1 + sigma^2), the variance-preserving state that SDXL networks take.
/// x: [B,4,h,w] fp32 or fp64; sigma: [B]. Returns as x. Throws Error for other shapes and dtypes.
Tensor scale_input(const Tensor& x, const Tensor& sigma);

/// The estimate of x0 behind a network's output at x. x: [B,4,h,w] fp32 or fp64; output: as x, in
/// any floating dtype; sigma: [B]. Returns as x. Throws Error for other shapes and dtypes.
/// eps: x - sigma eps; v: x / (1 + sigma^2) - v sigma / sqrt(1 + sigma^2) (Salimans and Ho 2022,
/// 2202.00512, appendix D, in x = x0 + sigma noise); edm: the same with plus (Karras et al. 2022,
/// 2206.00364, table 1).
Tensor denoised_from_output(NetworkOutput kind, const Tensor& x, const Tensor& output,
                            const Tensor& sigma);

/// How strong the noise of the first state is.
enum class NoiseScale {
  kSigma,  ///< sigma: Karras et al.; A1111, diffusers' Euler schedulers with trailing or linspace
  /// sqrt(1 + sigma^2), so that the network sees unit noise: ComfyUI at sigma_max, diffusers' LCM
  /// and DDIM at any sigma (the one-step DMD2 model too) and Euler with leading spacing
  kUnitVariance,
};

/// latent + noise * f with f as `scale` says. latent, noise: [B,4,h,w].
Tensor initial_state(const Tensor& latent, const Tensor& noise, double sigma, NoiseScale scale);

/// ComfyUI's rule: kUnitVariance from sigma_max (within 1e-5) upwards, else kSigma.
NoiseScale comfyui_noise_scale(const NoiseSchedule& schedule, double sigma);

/// Weights of the LCM boundary condition: denoised' = c_out * denoised + c_skip * state.
struct BoundaryScaling {
  double c_skip, c_out;
};

/// Source: Luo et al. 2023 (2310.04378), section 4.1, with sigma_data 0.5 and timestep scaling 10
/// as in diffusers' LCMScheduler. From timestep 19 up, c_skip is below 1e-5.
BoundaryScaling lcm_boundary_scaling(double timestep);

/// Adds the LCM boundary condition to a denoiser; timesteps are the schedule's nearest, the state
/// is x / sqrt(1 + sigma^2). Source: diffusers' LCMScheduler.
Denoiser with_lcm_boundary(Denoiser denoise, NoiseSchedule schedule);

}  // namespace fourstep
