#pragma once
// The samplers: from noise to a clean latent along a falling list of noise levels. All share one loop,
// `run_steps`, and differ in how they advance from one noise level to the next.
// A new sampler is one function here, one row in the table and its test. Nothing here sets a gradient mode.

#include <functional>
#include <span>
#include <string_view>

#include "base/noise.h"
#include "base/tensor.h"
#include "sampling/denoiser.h"

namespace fourstep {

struct SamplerOptions {
  double eta = 1;  ///< share of fresh noise in ancestral steps: 0 none, 1 all that the step allows
  double s_noise = 1;  ///< standard deviation of fresh noise
  std::function<Tensor(const Tensor& like)>
      noise;  ///< standard normal, as `like`; stochastic samplers need it
};

/// `source` as SamplerOptions::noise: drawn on the CPU in fp32, then moved to the device and dtype of `like`.
std::function<Tensor(const Tensor& like)> noise_like(NoiseSource source);

/// What a step reports once its estimate is there and before x moves on.
struct StepReport {
  int64_t step = 0;  ///< from 0
  int64_t num_steps = 0;
  double sigma = 0;  ///< noise level of x
  Tensor denoised;   ///< [B,4,h,w]
};

/// May be empty; may throw (Cancelled, for instance), which ends the sampling.
using OnStep = std::function<void(const StepReport&)>;

/// One step: from x and its estimate at noise level `from` to the state at `to` (> 0).
using Advance =
    std::function<Tensor(const Tensor& x, const Tensor& denoised, double from, double to)>;

/// The loop all samplers share: denoise, report, advance. A step to sigma 0 returns `denoised`.
/// x: [B,4,h,w] fp32 at sigmas[0]; with one sigma alone x comes back as it is.
/// Throws Error when sigmas do not fall, or are negative or not finite.
Tensor run_steps(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                 const OnStep& on_step, const Advance& advance);

/// How an ancestral step from `from` to `to` divides: down to sigma_down without noise, then up by noise of
/// sigma_up, with sigma_down^2 + sigma_up^2 = to^2. Source: k-diffusion `get_ancestral_step`.
struct AncestralSplit {
  double sigma_down, sigma_up;
};
AncestralSplit ancestral_split(double from, double to, double eta);

// Each sampler: x: [B,4,h,w] fp32 at sigmas[0]. Returns [B,4,h,w] at sigmas.back(). Throws as run_steps, and
// Error when it needs noise and opt.noise is empty.

/// Latent consistency sampling: jump to x0, then noise afresh to the next level.
/// Source: Song et al. 2023 (2303.01469), algorithm 1; ComfyUI `sample_lcm`, diffusers' LCMScheduler.
Tensor sample_lcm(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                  const SamplerOptions& opt, const OnStep& on_step);

/// Euler's method for the probability flow ODE. Source: Karras et al. 2022 (2206.00364), algorithm 1 without
/// its second-order correction.
Tensor sample_euler(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                    const SamplerOptions& opt, const OnStep& on_step);

/// Euler steps with fresh noise after each ("Euler a"); eta 0 gives the plain Euler method, though noise
/// is still drawn so that the stream moves on as in the reference.
/// Source: k-diffusion `sample_euler_ancestral`.
Tensor sample_euler_ancestral(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                              const SamplerOptions& opt, const OnStep& on_step);

/// DPM-Solver++(2M), second order with one evaluation per step.
/// Source: Lu et al. 2022 (2211.01095), algorithm 2; k-diffusion `sample_dpmpp_2m`.
Tensor sample_dpmpp_2m(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                       const SamplerOptions& opt, const OnStep& on_step);

struct SamplerRow {
  std::string_view name;
  Tensor (*function)(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                     const SamplerOptions& opt, const OnStep& on_step);
  bool is_stochastic;     ///< draws noise between steps
  std::string_view help;  ///< one line for lists of choices
};

/// All samplers, in the order in which to show them.
std::span<const SamplerRow> sampler_rows();

/// The sampler `name`. Throws InvalidRequest when it is unknown, listing the known ones.
const SamplerRow& find_sampler(std::string_view name);

}  // namespace fourstep
