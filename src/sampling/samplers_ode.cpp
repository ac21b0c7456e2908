// Samplers of the probability flow ODE without memory: x' = (x - D(x, sigma)) / sigma, one or more
// network calls per step, no noise but churn and restarts.
#include "sampling/samplers.h"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "sampling/sigma_lists.h"

namespace fourstep {

namespace {

/// Euler's method. Source: Karras et al. 2022 (2206.00364), algorithm 2 without its second-order
/// correction.
Tensor sample_euler(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return run_steps(run, std::move(x), on_step,
                   [](const Tensor& x, const Tensor& denoised, const Step& s) {
                     return x + slope(x, denoised, s.from) * (s.to - s.from);
                   });
}

/// The mean of the slopes at both ends, two calls per step. Source: Karras et al. 2022, algorithm
/// 2.
Tensor sample_heun(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const Tensor d = slope(x, denoised, s.from);
    const Tensor x2 = x + d * (s.to - s.from);
    return x + (d + slope(x2, run.estimate(x2, s.to), s.to)) * ((s.to - s.from) / 2);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Slopes at up to three levels, weighted by them; the last two steps of the list take two and one.
/// Source: the "HeunPP2" sampler of ComfyUI and Forge.
Tensor sample_heunpp2(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double end = run.sigmas.back();
    const Tensor d = slope(x, denoised, s.from);
    const Tensor x2 = x + d * (s.to - s.from);
    if (s.to == end) return x2;
    const double after = run.sigmas[s.index + 2];
    const double weight_sum = run.sigmas[0] * (after == end ? 2 : 3);
    const Tensor d2 = slope(x2, run.estimate(x2, s.to), s.to);
    const double w2 = s.to / weight_sum;
    if (after == end) return x + (d * (1 - w2) + d2 * w2) * (s.to - s.from);
    const Tensor x3 = x2 + d2 * (after - s.to);
    const Tensor d3 = slope(x3, run.estimate(x3, after), after);
    const double w3 = after / weight_sum;
    return x + (d * (1 - w2 - w3) + d2 * w2 + d3 * w3) * (s.to - s.from);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// DPM-Solver++(2S) whose middle is a level of the list: of every two steps the second goes over
/// both from the state before them. The last step is of first order. One call per step.
/// Source: Lu et al. 2022 (2211.01095), algorithm 1; diffusers' DPMSolverSinglestepScheduler.
Tensor sample_dpmpp_2s(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  Tensor start, first;  // of the pair of steps: its state, its estimate
  double from = 0;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const bool is_last = s.index + 2 == run.sigmas.size();
    if (s.index % 2 == 1 && !is_last) {
      const double share = std::log(from / s.from) / std::log(from / s.to);
      const Tensor target = first + (denoised - first) / (2 * share);
      return shrink(start, target, s.to / from);
    }
    start = x;
    first = denoised;
    from = s.from;
    return shrink(x, denoised, s.to / s.from);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// The slope at the geometric mean of both levels, two calls per step.
/// Source: Lu et al. 2022 (2206.00927), DPM-Solver-2; k-diffusion `sample_dpm_2`.
Tensor sample_dpm_2(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double middle = std::sqrt(s.from * s.to);
    const Tensor x2 = x + slope(x, denoised, s.from) * (middle - s.from);
    return x + slope(x2, run.estimate(x2, middle), middle) * (s.to - s.from);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Restart sampling: Heun's method that goes back up over a stretch of noise levels
/// (restart_levels()).
/// Source: Xu et al. 2023 (2306.14878).
Tensor sample_restart(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const std::vector<double> levels = restart_levels(run.sigmas);
  SamplerRun planned = run;
  planned.sigmas = levels;
  return sample_heun(planned, std::move(x), on_step);
}

constexpr auto kOdeSamplers = std::to_array<SamplerRow>({
    {.name = "euler",
     .function = sample_euler,
     .help = "first order, deterministic",
     .names = {.a1111 = "Euler", .others = "Euler SGM>trailing"},
     .diffusers = {.classes = "EulerDiscreteScheduler"}},
    {.name = "heun",
     .function = sample_heun,
     .help = "second order, two calls per step",
     .needs = {.calls_per_step = 2},
     .names = {.a1111 = "Heun"},
     .a1111 = {.two_calls = true},
     .diffusers = {.classes = "HeunDiscreteScheduler"}},
    {.name = "heunpp2",
     .function = sample_heunpp2,
     .help = "up to three weighted calls per step",
     .needs = {.calls_per_step = 3},
     .names = {.a1111 = "HeunPP2"}},
    {.name = "dpm_2",
     .function = sample_dpm_2,
     .help = "second order at the middle, two calls per step",
     .needs = {.calls_per_step = 2},
     .names = {.a1111 = "DPM2", .automatic = "karras"},
     .a1111 = {.two_calls = true, .discards_penultimate = true},
     .comfyui = {.discards_penultimate = true},
     .diffusers = {.classes = "KDPM2DiscreteScheduler", .solver = SolverKind::kKdpm2}},
    {.name = "dpmpp_2s",
     .function = sample_dpmpp_2s,
     .help = "DPM++ 2S, every two steps are one of second order",
     .diffusers = {.classes = "DPMSolverSinglestepScheduler",
                   .settings = "algorithm_type=dpmsolver++;solver_type=midpoint;solver_order=2",
                   .solver = SolverKind::kMultistep,
                   .is_linspace_only = true}},
    {.name = "restart",
     .function = sample_restart,
     .help = "heun; from 20 steps up it goes back up and repeats a stretch",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2},
     .names = {.a1111 = "Restart", .automatic = "karras"},
     .a1111 = {.two_calls = true}},
});

}  // namespace

std::span<const SamplerRow> ode_samplers() { return kOdeSamplers; }

}  // namespace fourstep
