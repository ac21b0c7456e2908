#pragma once
// The numbers behind the multistep samplers: weights of past slopes or estimates. All in double.

#include <span>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// Integrals from `from` to `to` of the Lagrange polynomials over `nodes` (1 to 4 different ones),
/// in their order. Exact: products of up to three linear factors.
std::vector<double> lagrange_integrals(std::span<const double> nodes, double from, double to);

/// The same with the weight function exp(kappa * (v - to)): what an exponential integrator needs.
/// Exact: moments by partial integration. kappa > 0.
std::vector<double> weighted_lagrange_integrals(std::span<const double> nodes, double from,
                                                double to, double kappa);

/// Integrals over sigma from `from` to `to` of the Lagrange polynomials in log sigma over `nodes`
/// (1 to 4 different noise levels), in their order. Exact. All above 0.
std::vector<double> log_lagrange_integrals(std::span<const double> nodes, double from, double to);

/// Weights of the latest `order` (1 to 4) slopes for equal steps, the newest first; they add up to
/// 1.
std::vector<double> adams_bashforth_weights(int order);

/// As adams_bashforth_weights times the length of the step, for the steps as they are.
/// lengths: to - from of this step and of those before (1 to 4), the newest first, all of one sign.
/// Source: see sample_ipndm_v() in samplers_multistep.cpp.
std::vector<double> ipndm_v_weights(std::span<const double> lengths);

/// Weights of the slopes at `sigmas` (the newest first, 2 to 4) for the step from sigmas[0] to
/// `to`, by polynomials in the time of the variance-preserving process with sigma from 0.002 to 80.
/// A sum over 10000 points, both ends included, as in the reference. Source: Zhang and Chen 2022
/// (2204.13902), eq. 15.
std::vector<double> deis_weights(std::span<const double> sigmas, double to);

/// Weight of the previous estimate in a RES multistep step of length h in lambda; the newest has 1
/// minus it.
/// back: lambda at the previous estimate minus lambda where the previous step ended (negative). 0
/// where the formula has no number. Source: Zhang et al. 2023 (2308.02157), ComfyUI
/// `res_multistep`.
double res_weight(double h, double back);

/// What RES multistep keeps of the previous step.
class ResHistory {
 public:
  bool is_there() const { return last_.defined(); }

  /// The mixture of this step's estimate and the previous one towards which to go, for a step that
  /// begins at sigma `from` and goes to `down` without noise; then remembers this step. estimate:
  /// [B,4,h,w]; returns as it.
  Tensor next_target(const Tensor& estimate, double from, double down);

 private:
  Tensor last_;
  double last_from_ = 0, last_down_ = 0;
};

}  // namespace fourstep
