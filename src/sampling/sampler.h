#pragma once
// What all samplers share: what they work with, the loop over falling noise levels, and its small
// parts. A sampler is an `Advance` for this loop, one row in samplers.cpp and its test.
// Nothing here sets a gradient mode.

#include <functional>
#include <limits>
#include <span>

#include "base/noise.h"
#include "base/tensor.h"
#include "sampling/denoiser.h"
#include "sampling/noise_schedule.h"

namespace fourstep {

/// Where the second-order term of dpmpp_2m_sde comes from.
enum class SdeSolver { kMidpoint, kHeun };

/// How a multistep sampler makes its last step.
enum class LastStep {
  kEstimate,    ///< to sigma 0, where x becomes the estimate of x0: ComfyUI
  kFormula,     ///< the sampler's formula is used to the end: k-diffusion, A1111, Forge
  kFirstOrder,  ///< without the estimates before: diffusers' `lower_order_final`
};

/// The numbers that users may set. Every sampler has its own defaults, see SamplerRow::defaults.
struct SamplerSettings {
  double eta = 1;      ///< share of fresh noise: 0 none, 1 all that the step allows; TCD's gamma
  double s_noise = 1;  ///< standard deviation of fresh noise
  double s_churn =
      0;  ///< noise added before a call, over all steps; Karras et al. 2022, algorithm 2
  double s_tmin = 0, s_tmax = std::numeric_limits<double>::infinity();  ///< where s_churn acts
  double r =
      0.5;  ///< where dpmpp_sde and seeds_2 evaluate between two levels, as a share in log sigma
  int order = 3;  ///< the most estimates that a multistep sampler combines
  SdeSolver solver = SdeSolver::kMidpoint;
  LastStep last_step = LastStep::kEstimate;
  /// How many timesteps a step of ddim and plms goes, whatever the list's next one is; 0: to the
  /// next one.
  /// Source: diffusers' DDIMScheduler and PNDMScheduler.
  int timestep_stride = 0;
};

/// Standard normal, as `like`, for the way from noise level `from` down to `to`. Only Brownian
/// paths look at the levels: what they add over neighbouring intervals agrees with what they add
/// over both at once.
using StepNoise = std::function<Tensor(const Tensor& like, double from, double to)>;

/// `source` as StepNoise: drawn on the CPU in fp32, then moved to the device and dtype of `like`.
StepNoise noise_like(NoiseSource source);

/// One run of a sampler. All members must outlive it.
struct SamplerRun {
  const Denoiser& denoise;
  std::span<const double> sigmas;  ///< falling; the last may be 0
  const NoiseSchedule& schedule;   ///< of the model, for samplers that think in timesteps
  SamplerSettings settings;
  StepNoise noise;  ///< stochastic samplers need it
  /// The estimate without the prompt of the latest call of `denoise`; the CFG++ samplers need it.
  std::function<Tensor()> uncond;
  /// The timestep that the network is told at a noise level, for samplers that ask for it; empty:
  /// the nearest.
  TimestepOf timestep_of = {};

  /// The estimate of x0 from x at noise level sigma. x: [B,4,h,w].
  Tensor estimate(const Tensor& x, double sigma) const {
    return denoise(x, at::full({x.size(0)}, sigma, torch::kFloat64));
  }
  /// settings.s_noise * noise. Throws Error when `noise` is empty.
  Tensor draw(const Tensor& like, double from, double to) const;
  /// Throws Error when `uncond` is empty.
  Tensor last_uncond() const;
  double timestep(double sigma) const;
};

/// What a step reports once its estimate is there and before x moves on.
struct StepReport {
  int64_t step = 0;  ///< from 0
  int64_t num_steps = 0;
  double sigma = 0;  ///< noise level of x
  Tensor denoised;   ///< [B,4,h,w]
};

/// May be empty; may throw (Cancelled, for instance), which ends the sampling.
using OnStep = std::function<void(const StepReport&)>;

/// From which noise level to which; index counts from 0.
struct Step {
  size_t index;
  double from, to;

  /// Length in lambda = -log(sigma); `to` must not be 0.
  double h() const;
};

/// One step: from x and its estimate at step.from to the state at step.to.
using Advance = std::function<Tensor(const Tensor& x, const Tensor& denoised, const Step& step)>;

/// The loop all samplers share: churn, denoise, report, advance; a rise in the list adds noise
/// instead. A step to sigma 0 returns the estimate unless `last` says that `advance` makes it.
/// x: [B,4,h,w] fp32 at sigmas[0]; with one sigma alone x comes back as it is.
Tensor run_steps(const SamplerRun& run, Tensor x, const OnStep& on_step, const Advance& advance,
                 LastStep last = LastStep::kEstimate);

/// Throws InvalidRequest when sigmas do not fall (by at least a billionth), or are negative or not
/// finite.
void check_falling(std::span<const double> sigmas);

/// The estimated noise, dx/dsigma of the probability flow: (x - denoised) / sigma.
Tensor slope(const Tensor& x, const Tensor& denoised, double sigma);

/// x of noise level `from` as the state of `to` that the network sees as the same: equal at unit
/// variance.
Tensor at_unit_variance(const Tensor& x, double from, double to);

/// The noise level `strides` times settings.timestep_stride timesteps below that of sigma, within
/// the table; without a stride `otherwise`.
double strided_level(const SamplerRun& run, double sigma, double otherwise, int strides);

/// ratio * x + (1 - ratio) * denoised: where the flow leads from sigma to ratio * sigma for a fixed
/// estimate.
Tensor shrink(const Tensor& x, const Tensor& denoised, double ratio);

/// How an ancestral step from `from` to `to` divides: down to sigma_down without noise, then up by
/// noise of sigma_up, with sigma_down^2 + sigma_up^2 = to^2. Source: k-diffusion
/// `get_ancestral_step`.
struct AncestralSplit {
  double sigma_down, sigma_up;
};
AncestralSplit ancestral_split(double from, double to, double eta);

}  // namespace fourstep
