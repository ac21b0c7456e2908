#pragma once
// Noise levels of a diffusion model in training: adding noise, drawing timesteps, weighing the
// loss.

#include "sampling/noise_schedule.h"
#include "sampling/parameterization.h"
#include "train/random.h"

namespace fourstep {

/// sqrt(alpha_bar) and sqrt(1 - alpha_bar) of the schedule, for whole timesteps.
struct NoiseLevels {
  Tensor alphas;  ///< [T] fp32
  Tensor sigmas;  ///< [T] fp32, of the variance-preserving form: alpha^2 + sigma^2 = 1

  /// alpha_t x0 + sigma_t noise. x0, noise: [B,...]; timesteps: [B] int64.
  Tensor add_noise(const Tensor& x0, const Tensor& noise, const Tensor& timesteps) const;
  /// alpha_t noise - sigma_t x0, what a v-predicting network answers at x_t: then x0 = alpha_t x_t
  /// - sigma_t v.
  /// Source: Salimans and Ho 2022 (2202.00512), section 4 and appendix D.
  Tensor v_target(const Tensor& x0, const Tensor& noise, const Tensor& timesteps) const;
  /// (x_t - sigma_t eps) / alpha_t.
  Tensor x0_from_eps(const Tensor& x_t, const Tensor& eps, const Tensor& timesteps) const;
};
NoiseLevels noise_levels_of(const NoiseSchedule& schedule, torch::Device device = torch::kCPU);

/// Whole timesteps 0..num_timesteps-1, one in each of `count` equal parts of the range, in random
/// order: every batch sees all noise levels, each timestep being as likely as any other.
Tensor draw_stratified_timesteps(const RandomKey& key, int64_t num_timesteps, int64_t count);

/// min(snr, gamma) / snr for eps prediction, min(snr, gamma) / (snr + 1) for v, [B]; ones for gamma
/// 0.
/// Source: Hang et al. 2023 (2303.09556), section 3.4 and appendix.
Tensor min_snr_weight(const NoiseLevels& levels, const Tensor& timesteps, double gamma,
                      NetworkOutput output = NetworkOutput::kEps);

/// The mean over samples of weight times mean squared error. prediction, target: [B,C,h,w];
/// weights: [B].
Tensor weighted_loss(const Tensor& prediction, const Tensor& target, const Tensor& weights);

/// max(1, snr^-power), [B]: what small latents need to learn from the caption what noise does not
/// hide from an average over few pixels. In units of x0 the eps loss weighs snr; with power 0.5
/// that becomes its root.
Tensor high_noise_weight(const NoiseLevels& levels, const Tensor& timesteps, double power);

}  // namespace fourstep
