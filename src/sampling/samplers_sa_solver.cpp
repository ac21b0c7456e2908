// SA-Solver: stochastic Adams predictor and corrector.
// The step's noise has share tau = settings.eta between the levels at which 20% and 80% of the
// model's timesteps are done, and tau = 0 elsewhere. settings.order: estimates of the predictor;
// the corrector has one more.
// Source: Xue et al. 2023 (2309.05019), algorithm 1; the interval and orders are ComfyUI's.
#include "sampling/samplers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "sampling/multistep_weights.h"

namespace fourstep {

namespace {

enum class Evaluation { kOnce, kTwice };

/// The share of noise of the step that ends at sigma `to`.
double tau_of(const SamplerRun& run, double to) {
  const bool is_inside =
      to <= sigma_from_percent(run.schedule, 0.2) && to >= sigma_from_percent(run.schedule, 0.8);
  return is_inside ? run.settings.eta : 0;
}

/// The step from `x` at s.from to s.to with the polynomial through the `order` newest estimates at
/// the levels that end with sigmas[newest], without the noise. estimates: the newest last.
Tensor adams_step(const SamplerRun& run, const Tensor& x, const Step& s, size_t newest,
                  std::span<const Tensor> estimates) {
  const double tau = tau_of(run, s.to), kappa = 1 + tau * tau;
  std::vector<double> lambdas;
  for (size_t k = estimates.size(); k-- > 0;) lambdas.push_back(-std::log(run.sigmas[newest - k]));
  const std::vector<double> weights =
      weighted_lagrange_integrals(lambdas, -std::log(s.from), -std::log(s.to), kappa);
  Tensor next = x * (s.to / s.from * std::exp(-tau * tau * s.h()));
  for (size_t k = 0; k < weights.size(); ++k) next = next + estimates[k] * (kappa * weights[k]);
  return next;
}

/// The noise of a step; undefined where tau is 0.
Tensor step_noise(const SamplerRun& run, const Tensor& like, const Step& s) {
  const double tau = tau_of(run, s.to);
  if (tau == 0) return {};
  return run.draw(like, s.from, s.to) * (s.to * std::sqrt(-std::expm1(-2 * tau * tau * s.h())));
}

Tensor plus(const Tensor& x, const Tensor& noise) { return noise.defined() ? x + noise : x; }

Tensor sample_with(Evaluation evaluation, const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const size_t predictor = static_cast<size_t>(run.settings.order), corrector = predictor + 1;
  const size_t count = run.sigmas.size();
  const bool ends_at_zero = run.sigmas.back() == 0;
  std::vector<Tensor> estimates;  // the newest last
  Tensor start, noise;            // of the step before: its corrected state, its noise
  Step last{0, 0, 0};
  const auto newest = [&](size_t order, size_t steps_left) {
    const size_t most = ends_at_zero ? std::min(order, steps_left) : order;
    return std::span<const Tensor>(estimates).last(std::min(most, estimates.size()));
  };
  const auto advance = [&](const Tensor& predicted, const Tensor& denoised, const Step& s) {
    estimates.push_back(denoised);
    Tensor x = predicted;
    if (start.defined()) {
      x = plus(adams_step(run, start, last, s.index, newest(corrector, count - 1 - s.index)),
               noise);
      if (evaluation == Evaluation::kTwice) estimates.back() = run.estimate(x, s.from);
    }
    if (s.to == 0) return estimates.back();
    start = x;
    last = s;
    noise = step_noise(run, x, s);
    return plus(adams_step(run, x, s, s.index, newest(predictor, count - 2 - s.index)), noise);
  };
  const auto end = evaluation == Evaluation::kTwice ? LastStep::kFormula : LastStep::kEstimate;
  return run_steps(run, std::move(x), on_step, advance, end);
}

/// Two estimates: which the polynomial of a second-order step goes through, the nearer one to its
/// end first.
struct EstimatePair {
  Tensor first, second;  ///< second: undefined for a step of first order
  double sigma, sigma2;
};

/// The step over s from x without noise, as diffusers makes it: its second order has a term more
/// ("for better performance" there) than the integral of the polynomial.
Tensor two_point_step(const Tensor& x, const Step& s, double tau, const EstimatePair& pair) {
  const double kappa = 1 + tau * tau, h = s.h();
  std::vector<double> lambdas = {-std::log(pair.sigma)};
  if (pair.second.defined()) lambdas.push_back(-std::log(pair.sigma2));
  std::vector<double> weights =
      weighted_lagrange_integrals(lambdas, -std::log(s.from), -std::log(s.to), kappa);
  Tensor next = x * (s.to / s.from * std::exp(-tau * tau * h));
  if (pair.second.defined()) {
    const double exact = (h * kappa + std::expm1(-kappa * h)) / (kappa * kappa);
    const double more = (h * h / 2 - exact) / (lambdas[0] - lambdas[1]);
    next = next + pair.second * (kappa * (weights[1] - more));
    weights[0] += more;
  }
  return next + pair.first * (kappa * weights[0]);
}

/// One call per step with two estimates for predictor and corrector; noise in the steps that begin
/// at timesteps 200 to 800, drawn in all. settings.last_step kFirstOrder: the last step has one
/// estimate; else the state at the last level, if it is above 0, is corrected by a call there.
/// Source: diffusers' SASolverScheduler.
Tensor sample_sa_solver_two_points(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  constexpr double kFirst = 200, kLast = 800;  // timesteps whose steps are noisy
  const auto tau_from = [&](double sigma) {
    const double timestep = run.timestep(sigma);
    return timestep >= kFirst && timestep <= kLast ? run.settings.eta : 0;
  };
  Tensor start, noise, last_denoised;  // of the step before
  Step last{0, 0, 0};
  const auto corrected = [&](const Tensor& predicted, const Tensor& denoised, double sigma) {
    if (!start.defined()) return predicted;
    return two_point_step(start, last, tau_from(last.from),
                          {denoised, last_denoised, sigma, last.from}) +
           noise;
  };
  const auto advance = [&](const Tensor& predicted, const Tensor& denoised, const Step& s) {
    const Tensor x = corrected(predicted, denoised, s.from);
    const bool is_last = s.index + 2 == run.sigmas.size();
    const bool is_lower = is_last && run.settings.last_step == LastStep::kFirstOrder;
    const Tensor second = is_lower ? Tensor() : last_denoised;
    const double tau = tau_from(s.from);
    noise = run.draw(x, s.from, s.to) * (s.to * std::sqrt(-std::expm1(-2 * tau * tau * s.h())));
    const Tensor next = two_point_step(x, s, tau, {denoised, second, s.from, last.from}) + noise;
    start = x;
    last_denoised = denoised;
    last = s;
    return next;
  };
  x = run_steps(run, std::move(x), on_step, advance);
  const double end = run.sigmas.back();
  const bool is_whole = end == 0 || run.settings.last_step == LastStep::kFirstOrder;
  return is_whole ? x : corrected(x, run.estimate(x, end), end);
}

/// One call per step: the corrector's state is not evaluated again (PEC).
Tensor sample_sa_solver(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with(Evaluation::kOnce, run, std::move(x), on_step);
}

/// Two calls per step: the corrected state is evaluated again (PECE).
Tensor sample_sa_solver_pece(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with(Evaluation::kTwice, run, std::move(x), on_step);
}

constexpr int kAlways = 1001;  // no list has more steps than 1000

constexpr auto kSaSolverSamplers = std::to_array<SamplerRow>({
    {.name = "sa_solver",
     .function = sample_sa_solver,
     .help = "stochastic Adams, noise in the middle of the way",
     .needs = {.noise = NoiseKind::kFresh},
     .diffusers = {.classes = "SASolverScheduler",
                   .solver = SolverKind::kMultistep,
                   .function = sample_sa_solver_two_points,
                   .last_step = LastStep::kFormula,
                   .first_order_below = kAlways,
                   .ends_at_timestep_0 = true}},
    {.name = "sa_solver_pece",
     .function = sample_sa_solver_pece,
     .help = "sa_solver, two calls per step",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2}},
});

}  // namespace

std::span<const SamplerRow> sa_solver_samplers() { return kSaSolverSamplers; }

}  // namespace fourstep
