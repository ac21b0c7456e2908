#include "sampling/samplers_ancestral.h"

#include <cmath>
#include <utility>

#include "sampling/parameterization.h"

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

Tensor sample_lcm_with_boundary(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const Denoiser denoise =
      with_lcm_boundary(run.denoise, run.schedule, BoundaryState::kVariancePreserving);
  return sample_lcm(
      {denoise, run.sigmas, run.schedule, run.settings, run.noise, run.uncond, run.timestep_of},
      std::move(x), on_step);
}

Tensor sample_ddim(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double to = strided_level(run, s.from, s.to, 1);
    const auto [down, up] = ancestral_split(s.from, to, run.settings.eta);
    const Tensor lower = x + slope(x, denoised, s.from) * (down - s.from);
    const Tensor state = up == 0 ? lower : lower + run.draw(x, s.from, to) * up;
    return at_unit_variance(state, to, s.to);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_dpm_2_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor noise = run.draw(x, s.from, s.to) * up;
    if (down == 0)
      return denoised + noise;  // all of it is noise: Euler's step, as in the reference
    double middle = std::sqrt(s.from * down);
    // With eta 1 the middle is s.to; but the network may be told another timestep there than at the level of a step.
    if (middle == s.to) middle = std::nextafter(middle, 0);
    const Tensor x2 = x + slope(x, denoised, s.from) * (middle - s.from);
    return x + slope(x2, run.estimate(x2, middle), middle) * (down - s.from) + noise;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_dpmpp_2s_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor noise = run.draw(x, s.from, s.to) * up;
    if (down == 0) return denoised + noise;  // as sample_dpm_2_ancestral()
    const double middle = std::sqrt(s.from * down);
    const Tensor between = shrink(x, denoised, middle / s.from);
    return shrink(x, run.estimate(between, middle), down / s.from) + noise;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_ddpm(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    // Eq. 7 in sigma space, where no difference of numbers near 1 is left.
    const double ratio = s.to / s.from, deviation = s.to * std::sqrt((1 - ratio) * (1 + ratio));
    return shrink(x, denoised, ratio * ratio) + run.draw(x, s.from, s.to) * deviation;
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
    const double lower = std::floor((1 - run.settings.eta) * timestep);
    if (lower == timestep) return denoised + eps * s.to;
    const double below = sigma_from_timestep(schedule, lower);
    return denoised + eps * below +
           run.draw(x, s.from, s.to) * std::sqrt((s.to - below) * (s.to + below));
  };
  return run_steps(run, std::move(x), on_step, advance, LastStep::kFormula);
}

}  // namespace fourstep
