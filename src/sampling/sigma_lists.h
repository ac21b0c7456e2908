#pragma once
// Lists of noise levels that follow from a range alone, without a model's table. Lists fall; unless
// said otherwise they have steps + 1 numbers, the last 0.

#include <span>
#include <vector>

namespace fourstep {

/// A range of noise levels, 0 < min < max.
struct SigmaRange {
  double min, max;
};

/// n equally spaced numbers from first to last inclusive; first alone when n is 1.
std::vector<double> equally_spaced(double first, double last, int n);

/// sigma^(1/rho) equally spaced. Source: Karras et al. 2022 (2206.00364), eq. 5.
std::vector<double> karras_sigmas(int steps, SigmaRange range, double rho);

/// log sigma falls as the rho-th power of a straight line; rho 1 is the exponential schedule.
/// Source: k-diffusion `get_sigmas_polyexponential`.
std::vector<double> polyexponential_sigmas(int steps, SigmaRange range, double rho);

/// atan sigma equally spaced from max to min. Source: Sabour et al. 2024 (2404.14507), theorem 3.1;
/// ComfyUI `kl_optimal_scheduler` (whose single step is NaN; here it starts at max).
std::vector<double> kl_optimal_sigmas(int steps, SigmaRange range);

/// The same with the steps ending at min instead of 0. Source: A1111 and Forge "KL Optimal".
std::vector<double> kl_optimal_sigmas_to_min(int steps, SigmaRange range);

/// Two arcs of an arc tangent that meet half-way between max and min, after three fifths of the
/// steps.
/// Source: RES4LYF `bong_tangent_scheduler` with start and end at the model's range, as in
/// stable-diffusion.cpp's `BongTangentScheduler` (the original ends at 0 and starts at 1, for flow
/// models).
std::vector<double> bong_tangent_sigmas(int steps, SigmaRange range);

/// Falls linearly to 97.5% of sigma_max in the first half of the steps, then quadratically to 0.
/// Source: ComfyUI `linear_quadratic_schedule`, made for Polyak et al. 2024 (2410.13720), section
/// 3.2.
std::vector<double> linear_quadratic_sigmas(int steps, double sigma_max);

/// sigma linear in the quantiles of the beta distribution. alpha, beta > 0.
/// Source: A1111 and Forge "Beta"; diffusers' use_beta_sigmas.
std::vector<double> beta_sigmas(int steps, SigmaRange range, double alpha, double beta);

/// Quantiles of a Laplace distribution of log sigma around mu, clipped to the range: many steps
/// around e^mu. `steps` numbers, fewer when several are clipped to one end; no 0 is appended.
/// Source: k-diffusion `get_sigmas_laplace`, after Hang et al. 2024 (2407.03297).
std::vector<double> laplace_sigmas(int steps, SigmaRange range, double mu, double beta);

/// The continuous variance-preserving process, t from 1 to eps_s:
/// sigma^2 = exp(beta_d t^2 / 2 + beta_min t) - 1.
struct VpCurve {
  double beta_d = 19.9, beta_min = 0.1, eps_s = 0.001;
};

/// Source: Karras et al. 2022 (2206.00364), table 1, "VP"; k-diffusion `get_sigmas_vp`. Not made
/// for SDXL.
std::vector<double> vp_sigmas(int steps, VpCurve curve);

/// A falling list resampled to n points, log sigma linear between entries; one point is the last
/// entry.
/// sigmas: positive, not empty. No 0 is appended. Source: the `loglinear_interp` of align your
/// steps.
std::vector<double> log_interpolated(std::span<const double> sigmas, int n);

/// The levels that the sampler "restart" visits, with rises where noise is added. Fewer than 20
/// steps: the list as it is. Else a Karras list of fewer steps, with one stretch (two from 36
/// steps) from about 2 to about 0.1 repeated at its end. sigmas: falling, ending in 0. Source: Xu
/// et al. 2023 (2306.14878); the numbers are those of A1111 and Forge.
std::vector<double> restart_levels(std::span<const double> sigmas);

/// The regularised incomplete beta function I_x(a, b) for a, b > 0 and x in 0..1, by its continued
/// fraction.
/// Source: NIST Digital Library of Mathematical Functions, 8.17.22.
double incomplete_beta(double x, double a, double b);

/// The x at which I_x(a, b) = probability (0..1), by bisection down to neighbouring doubles.
double beta_quantile(double probability, double a, double b);

// How far the noise levels of a schedule are from those that a distilled model was trained at. A
// step from a level that it has never seen is a guess; a level that no step begins at is a jump it
// learned and does not make.

/// |log(sigma / level)| to the nearest of `levels`: 0 at one of them, 0.7 at twice or half of it.
/// sigma and levels: above 0; levels: not empty.
double log_distance(double sigma, std::span<const double> levels);

struct GridDistance {
  double visited =
      0;  ///< mean over the levels that steps begin at: distance to the nearest trained one
  double missed =
      0;  ///< mean over the trained levels: distance to the nearest that a step begins at
};

/// sigmas: as samplers take them, at least two; the last is where the last step ends and does not
/// count.
/// trained: not empty.
GridDistance grid_distance(std::span<const double> sigmas, std::span<const double> trained);

}  // namespace fourstep
