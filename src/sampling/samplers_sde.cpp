// Samplers of the reverse SDE: exponential integrators in lambda = -log(sigma) with noise inside
// each step. eta scales the noise: 0 is the ODE, 1 the SDE.
#include "sampling/samplers.h"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace fourstep {

namespace {

/// sigma at share r of the way from `from` to `to` in log sigma.
double between(const Step& s, double r) { return s.from * std::pow(s.to / s.from, r); }

/// The estimates of the latest steps, the newest first, with the length in lambda of the step each
/// began.
struct History {
  std::vector<Tensor> denoised;
  std::vector<double> h;

  void push(const Tensor& newest, double length, size_t keep) {
    denoised.insert(denoised.begin(), newest);
    h.insert(h.begin(), length);
    if (denoised.size() > keep) denoised.pop_back(), h.pop_back();
  }
  size_t size() const { return denoised.size(); }
};

/// The first-order step of the SDE from x over length h: x and estimate weighted, without the
/// noise.
Tensor exponential_step(const Tensor& x, const Tensor& denoised, const Step& s, double eta) {
  return x * (s.to / s.from * std::exp(-eta * s.h())) - denoised * std::expm1(-(1 + eta) * s.h());
}

/// The noise that belongs to exponential_step(); x where eta is 0, without a draw.
Tensor with_step_noise(const SamplerRun& run, const Tensor& x, const Step& s) {
  const double eta = run.settings.eta;
  if (eta <= 0) return x;
  return x + run.draw(x, s.from, s.to) * (s.to * std::sqrt(-std::expm1(-2 * eta * s.h())));
}

/// From x down to the ancestral level of `to` for a fixed estimate, then noise up to it.
Tensor ancestral_step(const SamplerRun& run, const Tensor& x, const Tensor& denoised,
                      const Step& s) {
  const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
  const Tensor lower = shrink(x, denoised, down / s.from);
  return up == 0 ? lower : lower + run.draw(x, s.from, s.to) * up;
}

/// DPM-Solver++ with two calls per step, the second at share r. Source: k-diffusion
/// `sample_dpmpp_sde`.
Tensor sample_dpmpp_sde(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const double r = run.settings.r, weight = 1 / (2 * r);
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double middle = between(s, r);
    const Tensor x2 = ancestral_step(run, x, denoised, {s.index, s.from, middle});
    const Tensor second = run.estimate(x2, middle);
    return ancestral_step(run, x, denoised * (1 - weight) + second * weight, s);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// SDE-DPM-Solver++(2M). Source: Lu et al. 2022 (2211.01095), section 5; k-diffusion
/// `sample_dpmpp_2m_sde`.
Tensor sample_dpmpp_2m_sde(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  History history;
  const double eta = run.settings.eta;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double h = s.h(), q = (1 + eta) * h;
    Tensor next = exponential_step(x, denoised, s, eta);
    if (history.size() > 0) {
      const double share = -std::expm1(-q);
      const double weight = run.settings.solver == SdeSolver::kHeun ? 1 - share / q : share / 2;
      next = next + (denoised - history.denoised[0]) * (weight * h / history.h[0]);
    }
    history.push(denoised, h, 1);
    return with_step_noise(run, next, s);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// The same with three estimates. Source: k-diffusion `sample_dpmpp_3m_sde`.
Tensor sample_dpmpp_3m_sde(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  History history;
  const double eta = run.settings.eta;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double h = s.h(), q = (1 + eta) * h;
    const double phi2 = 1 + std::expm1(-q) / q, phi3 = phi2 / q - 0.5;
    Tensor next = exponential_step(x, denoised, s, eta);
    if (history.size() > 0) {
      const double r0 = history.h[0] / h;
      Tensor change = (denoised - history.denoised[0]) / r0;
      if (history.size() > 1) {
        const double r1 = history.h[1] / h;
        const Tensor older = (history.denoised[0] - history.denoised[1]) / r1;
        const Tensor curvature = (change - older) / (r0 + r1);
        change = change + curvature * r0;
        next = next - curvature * phi3;
      }
      next = next + change * phi2;
    }
    history.push(denoised, h, 2);
    return with_step_noise(run, next, s);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// The noise scale that ER-SDE works in, as a function of sigma.
double er_scale(double sigma) { return sigma * (std::exp(std::pow(sigma, 0.3)) + 10); }

/// Integrals of 1 / er_scale and (v - from) / er_scale over the step, by 200 left-hand rectangles.
struct ErIntegrals {
  double constant = 0, linear = 0;
};

ErIntegrals er_integrals(const Step& s) {
  constexpr int kPoints = 200;
  const double width = (s.from - s.to) / kPoints;
  ErIntegrals sums;
  for (int k = 0; k < kPoints; ++k) {
    const double v = s.to + k * width, weight = width / er_scale(v);
    sums.constant += weight;
    sums.linear += weight * (v - s.from);
  }
  return sums;
}

/// Extended reverse-time SDE solver with settings.order (1 to 3) stages.
/// Source: Cui et al. 2023 (2309.06169), with the noise scale of ComfyUI `sample_er_sde`.
Tensor sample_er_sde(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  Tensor last_denoised, last_gradient;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double scale = er_scale(s.to), r = scale / er_scale(s.from), dt = s.to - s.from;
    Tensor next = shrink(x, denoised, r), gradient;
    if (s.index >= 1 && run.settings.order >= 2) {
      const ErIntegrals sums = er_integrals(s);
      gradient = (denoised - last_denoised) / (s.from - run.sigmas[s.index - 1]);
      next = next + gradient * (dt + sums.constant * scale);
      if (s.index >= 2 && run.settings.order >= 3) {
        const double span = (s.from - run.sigmas[s.index - 2]) / 2;
        next = next + (gradient - last_gradient) * ((dt * dt / 2 + sums.linear * scale) / span);
      }
    }
    last_denoised = denoised;
    last_gradient = gradient;
    const double variance = s.to * s.to - s.from * s.from * r * r;
    return next + run.draw(x, s.from, s.to) * std::sqrt(std::max(variance, 0.0));
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Noise collected on the way through the stages of a SEEDS step, in units of the level reached:
/// what is there fades by exp(-eta * length), and what is new keeps the variance that an SDE of
/// that length has.
class StageNoise {
 public:
  StageNoise(const SamplerRun& run, const Tensor& like)
      : run_(run), total_(torch::zeros_like(like)) {}

  /// The noise at level `to`, in x's units.
  Tensor at(double from, double to) {
    const double eta = run_.settings.eta, length = std::log(from / to);
    if (eta <= 0) return total_;
    total_ = total_ * std::exp(-eta * length) +
             run_.draw(total_, from, to) * std::sqrt(-std::expm1(-2 * eta * length));
    return total_ * to;
  }

 private:
  const SamplerRun& run_;
  Tensor total_;
};

/// SEEDS with two stages, the second at share r. Source: Gonzalez et al. 2023 (2305.14267),
/// algorithm 2.
Tensor sample_seeds_2(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const double r = run.settings.r, eta = run.settings.eta;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    StageNoise noise(run, x);
    const double middle = between(s, r);
    const Tensor x2 =
        exponential_step(x, denoised, {s.index, s.from, middle}, eta) + noise.at(s.from, middle);
    const Tensor mixed = denoised + (run.estimate(x2, middle) - denoised) / (2 * r);
    return exponential_step(x, mixed, s, eta) + noise.at(middle, s.to);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// SEEDS with three stages at shares 1/3 and 2/3. Source: Gonzalez et al. 2023 (2305.14267),
/// algorithm 3.
Tensor sample_seeds_3(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  constexpr double kR1 = 1.0 / 3, kR2 = 2.0 / 3;
  const double eta = run.settings.eta;
  // Weight of the change of the estimate over a stretch of length q that began with it.
  const auto change_weight = [](double q) { return 1 + std::expm1(-q) / q; };
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    StageNoise noise(run, x);
    const double first = between(s, kR1), second = between(s, kR2), q = (1 + eta) * s.h();
    const Tensor x2 =
        exponential_step(x, denoised, {s.index, s.from, first}, eta) + noise.at(s.from, first);
    const Tensor change2 = run.estimate(x2, first) - denoised;
    const Tensor x3 = exponential_step(x, denoised, {s.index, s.from, second}, eta) +
                      change2 * (kR2 / kR1 * change_weight(kR2 * q)) + noise.at(first, second);
    const Tensor change3 = run.estimate(x3, second) - denoised;
    return exponential_step(x, denoised, s, eta) + change3 * (change_weight(q) / kR2) +
           noise.at(second, s.to);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Heun's method as an exponential integrator: the second call at the step's end, in the time log
/// sigma.
/// Source: SEEDS (2305.14267) with its second stage at share 1 and weights of second order; ComfyUI
/// `sample_exp_heun_2_x0`, whose second draw has no weight.
Tensor sample_exp_heun(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const double eta = run.settings.eta;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    StageNoise noise(run, x);
    const double q = (1 + eta) * s.h();
    const Tensor lower = exponential_step(x, denoised, s, eta);
    const Tensor change = run.estimate(lower + noise.at(s.from, s.to), s.to) - denoised;
    return lower + change * (1 + std::expm1(-q) / q) + noise.at(s.to, s.to);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

constexpr auto kSdeSamplers = std::to_array<SamplerRow>({
    {.name = "dpmpp_sde",
     .function = sample_dpmpp_sde,
     .help = "DPM++ SDE, two calls per step",
     .needs = {.noise = NoiseKind::kBrownian, .calls_per_step = 2},
     .names = {.a1111 = "DPM++ SDE", .others = "dpmpp_sde_gpu;DPM SDE", .automatic = "karras"},
     .a1111 = {.two_calls = true},
     .diffusers = {.classes = "DPMSolverSDEScheduler"}},
    {.name = "dpmpp_2m_sde",
     .function = sample_dpmpp_2m_sde,
     .help = "second order SDE",
     .needs = {.noise = NoiseKind::kBrownian},
     .names = {.a1111 = "DPM++ 2M SDE",
               .others = "dpmpp_2m_sde_gpu;dpm++2m_sde_bt",
               .automatic = "exponential"},
     .diffusers = {.classes = "DPMSolverMultistepScheduler",
                   .settings = "algorithm_type=sde-dpmsolver++;solver_type=midpoint;solver_order=2",
                   .by_default = false,
                   .solver = SolverKind::kMultistep,
                   .draws_from_stream = true}},
    {.name = "dpmpp_2m_sde_heun",
     .function = sample_dpmpp_2m_sde,
     .help = "second order SDE, Heun's variant",
     .needs = {.noise = NoiseKind::kBrownian},
     .defaults = {.solver = SdeSolver::kHeun},
     .names = {.a1111 = "DPM++ 2M SDE Heun",
               .others = "dpmpp_2m_sde_heun_gpu",
               .automatic = "exponential"},
     .diffusers = {.classes = "DPMSolverMultistepScheduler",
                   .settings = "algorithm_type=sde-dpmsolver++;solver_type=heun;solver_order=2",
                   .by_default = false,
                   .solver = SolverKind::kMultistep,
                   .draws_from_stream = true}},
    {.name = "dpmpp_3m_sde",
     .function = sample_dpmpp_3m_sde,
     .help = "third order SDE",
     .needs = {.noise = NoiseKind::kBrownian},
     .names = {.a1111 = "DPM++ 3M SDE", .others = "dpmpp_3m_sde_gpu", .automatic = "exponential"},
     .a1111 = {.discards_penultimate = true},
     .diffusers = {.classes = "DPMSolverMultistepScheduler",
                   .by_default = false,
                   .solver = SolverKind::kMultistep}},
    {.name = "er_sde",
     .function = sample_er_sde,
     .help = "extended reverse SDE of order 3",
     .needs = {.noise = NoiseKind::kFresh}},
    {.name = "seeds_2",
     .function = sample_seeds_2,
     .help = "SDE with two calls per step",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2}},
    {.name = "seeds_3",
     .function = sample_seeds_3,
     .help = "SDE with three calls per step",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 3}},
    {.name = "exp_heun_2_x0",
     .function = sample_exp_heun,
     .help = "exponential Heun, two calls per step",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2},
     .defaults = {.eta = 0}},
    {.name = "exp_heun_2_x0_sde",
     .function = sample_exp_heun,
     .help = "exp_heun_2_x0 with fresh noise",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2}},
});

}  // namespace

std::span<const SamplerRow> sde_samplers() { return kSdeSamplers; }

}  // namespace fourstep
