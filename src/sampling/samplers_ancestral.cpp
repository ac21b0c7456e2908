#include "sampling/samplers_ancestral.h"

#include <cmath>
#include <utility>

namespace fourstep {

Tensor sample_lcm(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    return denoised + run.draw(x, s.from, s.to) * s.to;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_euler_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor lower = x + slope(x, denoised, s.from) * (down - s.from);
    return lower + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_ddim(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor lower = x + slope(x, denoised, s.from) * (down - s.from);
    return up == 0 ? lower : lower + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_dpm_2_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const double middle = std::sqrt(s.from * down);
    const Tensor x2 = x + slope(x, denoised, s.from) * (middle - s.from);
    const Tensor lower = x + slope(x2, run.estimate(x2, middle), middle) * (down - s.from);
    return lower + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_dpmpp_2s_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const double middle = std::sqrt(s.from * down);
    const Tensor between = shrink(x, denoised, middle / s.from);
    const Tensor lower = shrink(x, run.estimate(between, middle), down / s.from);
    return lower + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_ddpm(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double alpha_bar = 1 / (1 + s.from * s.from), alpha_bar_to = 1 / (1 + s.to * s.to);
    const double alpha = alpha_bar / alpha_bar_to;
    const Tensor eps = slope(x, denoised, s.from);
    const Tensor mean =
        (x * std::sqrt(alpha_bar) - eps * ((1 - alpha) / std::sqrt(1 - alpha_bar))) /
        std::sqrt(alpha);
    const double deviation = std::sqrt((1 - alpha) * (1 - alpha_bar_to) / (1 - alpha_bar));
    return (mean + run.draw(x, s.from, s.to) * deviation) * std::hypot(1, s.to);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_tcd(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const NoiseSchedule& schedule = run.schedule;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const Tensor eps = slope(x, denoised, s.from);
    if (s.to == 0)
      return (denoised + eps * schedule.sigma_min()) / std::hypot(1, schedule.sigma_min());
    const double timestep = nearest_timestep(schedule, s.to);
    const double below =
        sigma_from_timestep(schedule, std::floor((1 - run.settings.eta) * timestep));
    if (run.settings.eta == 0) return denoised + eps * s.to;
    return denoised + eps * below +
           run.draw(x, s.from, s.to) * std::sqrt(s.to * s.to - below * below);
  };
  return run_steps(run, std::move(x), on_step, advance, LastStep::kFormula);
}

}  // namespace fourstep
