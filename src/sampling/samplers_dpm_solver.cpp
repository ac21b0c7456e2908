// DPM-Solver in lambda = -log(sigma) with steps of its own choice between the first and the last
// level above 0, where it ends. Source: Lu et al. 2022 (2206.00927); the choice of steps is that of
// k-diffusion's `sample_dpm_fast` and `sample_dpm_adaptive`.
#include "sampling/samplers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace fourstep {

namespace {

/// One DPM-Solver step from lambda t over h. Slopes (eps) that were evaluated are kept for a second
/// order.
class DpmStep {
 public:
  DpmStep(const SamplerRun& run, const Tensor& x, const Tensor& denoised, double t, double h)
      : run_(run), x_(x), eps_(slope(x, denoised, std::exp(-t))), t_(t), h_(h) {}

  Tensor first() const { return euler(1); }

  /// r: share of the step at which the second call is made. Source: 2206.00927, algorithm 1.
  Tensor second(double r) {
    return euler(1) - change_at(r) * (sigma(1) / (2 * r) * std::expm1(h_));
  }

  /// Calls at shares 1/3 and 2/3. Source: 2206.00927, algorithm 2.
  Tensor third() {
    constexpr double kR1 = 1.0 / 3, kR2 = 2.0 / 3;
    const Tensor u2 = euler(kR2) - change_at(kR1) * (sigma(kR2) * kR2 / kR1 * curve(kR2));
    const Tensor change2 = slope(u2, run_.estimate(u2, sigma(kR2)), sigma(kR2)) - eps_;
    return euler(1) - change2 * (sigma(1) / kR2 * curve(1));
  }

 private:
  double sigma(double r) const { return std::exp(-(t_ + r * h_)); }
  double curve(double r) const { return std::expm1(r * h_) / (r * h_) - 1; }
  Tensor euler(double r) const { return x_ - eps_ * (sigma(r) * std::expm1(r * h_)); }

  /// eps at share r minus eps at the start; the first r is evaluated, and kept.
  const Tensor& change_at(double r) {
    if (!change_.defined()) {
      const Tensor u = euler(r);
      change_ = slope(u, run_.estimate(u, sigma(r)), sigma(r)) - eps_;
    }
    return change_;
  }

  const SamplerRun& run_;
  const Tensor x_, eps_;
  Tensor change_;
  double t_, h_;
};

double last_positive(std::span<const double> sigmas) {
  return sigmas.back() > 0 || sigmas.size() < 2 ? sigmas.back() : sigmas[sigmas.size() - 2];
}

/// Orders of the steps whose calls add up to `calls`: as many threes as leave a rest of two steps.
std::vector<int> orders_of_calls(int calls) {
  std::vector<int> orders(static_cast<size_t>(calls % 3 == 0 ? calls / 3 - 1 : calls / 3), 3);
  if (calls % 3 == 0) orders.push_back(2);
  orders.push_back(calls % 3 == 0 ? 1 : calls % 3);
  return orders;
}

/// Where a step to lambda t_next goes without noise (at most t_end), and the noise that brings it
/// back.
struct NoisyEnd {
  double lambda, sigma_up;
};
NoisyEnd noisy_end(double t, double t_next, double t_end, double eta) {
  if (eta == 0) return {t_next, 0};
  const double from = std::exp(-t), to = std::exp(-t_next);
  const double lambda = std::min(t_end, -std::log(ancestral_split(from, to, eta).sigma_down));
  return {lambda, std::sqrt(std::max(to * to - std::exp(-2 * lambda), 0.0))};
}

/// The length of the next step from the errors of the last three.
/// Source: k-diffusion's PIDStepSizeController with its defaults (an integral part alone).
class StepLength {
 public:
  StepLength(double length, double order) : length_(length), order_(order) {}
  double length() const { return length_; }

  /// Whether a step of this error is taken; sets the next length.
  bool accept(double error) {
    constexpr double kSafety = 0.81;
    const double factor = 1 + std::atan(std::pow(1 / (error + 1e-8), 1.0 / order_) - 1);
    length_ *= factor;
    return factor >= kSafety;
  }

 private:
  double length_;
  double order_;
};

/// Root of the mean square of (low - high) in units of the tolerance. Source: 2206.00927, section
/// 3.4.
double relative_error(const Tensor& low, const Tensor& high, const Tensor& before) {
  constexpr double kAbsolute = 0.0078, kRelative = 0.05;
  const Tensor tolerance = (at::maximum(low.abs(), before.abs()) * kRelative).clamp_min(kAbsolute);
  return ((low - high) / tolerance).square().mean().sqrt().item<double>();
}

/// As many calls as the list has steps, in steps of order 3 and a rest of order 2 and 1.
Tensor sample_dpm_fast(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const int calls = static_cast<int>(run.sigmas.size()) - 1;
  if (calls < 1) return x;
  const std::vector<int> orders = orders_of_calls(calls);
  const double start = -std::log(run.sigmas[0]), end = -std::log(last_positive(run.sigmas));
  const auto count = static_cast<int64_t>(orders.size());
  for (int64_t i = 0; i < count; ++i) {
    const double t = start + (end - start) * i / count,
                 t_next = start + (end - start) * (i + 1) / count;
    const NoisyEnd target = noisy_end(t, t_next, end, run.settings.eta);
    const Tensor denoised = run.estimate(x, std::exp(-t));
    if (on_step) on_step({i, count, std::exp(-t), denoised});
    DpmStep step(run, x, denoised, t, target.lambda - t);
    x = orders[i] == 1 ? step.first() : orders[i] == 2 ? step.second(0.5) : step.third();
    x = x + run.draw(x, std::exp(-t), std::exp(-t_next)) * target.sigma_up;
  }
  return x;
}

/// Steps of order 3 (settings.order 2: 2) whose length follows from their error; the list's number
/// of steps does not matter. Throws Error after 1000 steps.
Tensor sample_dpm_adaptive(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  constexpr int64_t kMostSteps = 1000;
  constexpr double kFirstLength = 0.05, kSecond = 0.5, kThird = 1.0 / 3;
  const bool is_second = run.settings.order == 2;
  const double end = -std::log(last_positive(run.sigmas)), eta = run.settings.eta;
  double t = -std::log(run.sigmas[0]);
  Tensor before = x;
  StepLength length(kFirstLength, eta > 0 ? 1.5 : is_second ? 2 : 3);
  for (int64_t tried = 0; t < end - 1e-5; ++tried) {
    if (tried == kMostSteps)
      throw Error("dpm_adaptive: no end after {} steps; use another sampler", tried);
    const double t_next = std::min(end, t + length.length());
    const NoisyEnd target = noisy_end(t, t_next, end, eta);
    const Tensor denoised = run.estimate(x, std::exp(-t));
    if (on_step) on_step({tried, tried + 1, std::exp(-t), denoised});
    DpmStep step(run, x, denoised, t, target.lambda - t);
    const Tensor low = is_second ? step.first() : step.second(kThird);
    const Tensor high = is_second ? step.second(kSecond) : step.third();
    if (!length.accept(relative_error(low, high, before))) continue;
    before = low;
    x = high + run.draw(x, std::exp(-t), std::exp(-t_next)) * target.sigma_up;
    t = t_next;
  }
  return x;
}

constexpr auto kDpmSolverSamplers = std::to_array<SamplerRow>({
    {.name = "dpm_fast",
     .function = sample_dpm_fast,
     .help = "DPM-Solver of order 3 with steps of its own, as many calls as steps",
     .needs = {.noise = NoiseKind::kFresh},
     .defaults = {.eta = 0},
     .names = {.a1111 = "DPM fast"}},
    {.name = "dpm_adaptive",
     .function = sample_dpm_adaptive,
     .help = "DPM-Solver whose steps follow from the error, whatever their number",
     .needs = {.noise = NoiseKind::kFresh,
               .max_eta = 1,  // with more noise it finds no end
               .adaptive = true},
     .defaults = {.eta = 0},
     .names = {.a1111 = "DPM adaptive", .others = "dpm_ad"}},
});

}  // namespace

std::span<const SamplerRow> dpm_solver_samplers() { return kDpmSolverSamplers; }

}  // namespace fourstep
