#pragma once
// Samplers with one call per step that combine the slopes or estimates of several steps.
// settings.order: the most of them; the first steps have fewer. All: see SamplerFunction for arguments.

#include "sampling/sampler.h"

namespace fourstep {

/// DPM-Solver++(2M). Source: Lu et al. 2022 (2211.01095), algorithm 2; k-diffusion `sample_dpmpp_2m`.
Tensor sample_dpmpp_2m(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Linear multistep: the polynomial through the latest slopes, integrated exactly.
/// Source: k-diffusion `sample_lms`, of Katherine Crowson.
Tensor sample_lms(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Adams-Bashforth with the weights of equal steps, up to order 4.
/// Source: Zhang and Chen 2022 (2204.13902), "iPNDM".
Tensor sample_ipndm(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The same with the weights of the steps as they are. Source: Zhang and Chen 2022; the expressions are
/// those of the diff-solvers program that ComfyUI and Forge use, one of whose terms differs from the exact
/// integral: it is kept, since it decides the picture.
Tensor sample_ipndm_v(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// iPNDM whose first step takes the mean of the slopes at both ends: PLMS. With settings.timestep_stride each step
/// goes so many timesteps down and takes the state there, at unit variance, for that of the list's next level.
/// Source: Liu et al. 2022 (2202.09778); the CompVis stable-diffusion program, A1111; diffusers' PNDMScheduler with
/// skip_prk_steps.
Tensor sample_plms(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DEIS with polynomials in the time of a variance-preserving process, up to order 4; first and last step are
/// Euler's. Source: Zhang and Chen 2022 (2204.13902), "tAB-DEIS".
Tensor sample_deis(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// DEIS with polynomials in log sigma; the last step is Euler's where settings.last_step is kFirstOrder.
/// Source: Zhang and Chen 2022 (2204.13902), "rhoAB-DEIS"; diffusers' DEISMultistepScheduler ("logrho").
Tensor sample_deis_log(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Second-order exponential integrator with ancestral noise (eta, default 0: it is drawn, but has no weight).
/// Source: Zhang et al. 2023 (2308.02157), RES multistep; ComfyUI `res_multistep`.
Tensor sample_res_multistep(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// Euler's method that extrapolates the slope. Source: Permenter and Yuan 2023 (2306.04848), with gamma 2.
Tensor sample_gradient_estimation(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// What RES multistep keeps of the previous step.
class ResHistory {
 public:
  bool is_there() const { return last_.defined(); }

  /// The mixture of this step's estimate and the previous one towards which to go, for a step that begins at
  /// sigma `from` and goes to `down` without noise; then remembers this step.
  Tensor next_target(const Tensor& estimate, double from, double down);

 private:
  Tensor last_;
  double last_from_ = 0, last_down_ = 0;
};

}  // namespace fourstep
