// Samplers that go down further than asked and come back up with fresh noise, and those that noise
// the estimate of x0 afresh.
#include "sampling/samplers.h"

#include <array>
#include <cmath>
#include <utility>

#include "sampling/parameterization.h"

namespace fourstep {

namespace {

/// Latent consistency sampling: jump to x0, then noise afresh to the next level.
/// Source: Song et al. 2023 (2303.01469), algorithm 1; ComfyUI `sample_lcm`, diffusers'
/// LCMScheduler.
Tensor sample_lcm(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    return denoised + run.draw(x, s.from, s.to) * s.to;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Euler steps with fresh noise after each ("Euler a"); eta 0 gives the plain Euler method, though
/// noise is still drawn so that the stream moves on as in the reference.
/// Source: k-diffusion `sample_euler_ancestral`.
Tensor sample_euler_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor lower = x + slope(x, denoised, s.from) * (down - s.from);
    return lower + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// The same with the boundary condition of latent consistency models.
/// Source: diffusers' LCMScheduler; see with_lcm_boundary().
Tensor sample_lcm_with_boundary(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const Denoiser denoise = with_lcm_boundary(run.denoise, run.schedule);
  return sample_lcm(
      {denoise, run.sigmas, run.schedule, run.settings, run.noise, run.uncond, run.timestep_of},
      std::move(x), on_step);
}

/// DDIM in sigma space, where it is Euler's method with an ancestral share eta (default 0) of fresh
/// noise. With settings.timestep_stride it goes so many timesteps down and takes the state there,
/// at unit variance, for that of the list's next level. Source: Song et al. 2020 (2010.02502), eq.
/// 12 and 16; diffusers.
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

/// DPM-Solver-2 down to the ancestral level, then noise. Source: k-diffusion
/// `sample_dpm_2_ancestral`.
Tensor sample_dpm_2_ancestral(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor noise = run.draw(x, s.from, s.to) * up;
    if (down == 0)
      return denoised + noise;  // all of it is noise: Euler's step, as in the reference
    double middle = std::sqrt(s.from * down);
    // With eta 1 the middle is s.to; but the network may be told another timestep there than at the
    // level of a step.
    if (middle == s.to) middle = std::nextafter(middle, 0);
    const Tensor x2 = x + slope(x, denoised, s.from) * (middle - s.from);
    return x + slope(x2, run.estimate(x2, middle), middle) * (down - s.from) + noise;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// DPM-Solver++(2S) down to the ancestral level, then noise.
/// Source: Lu et al. 2022 (2211.01095), algorithm 1; k-diffusion `sample_dpmpp_2s_ancestral`.
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

/// The posterior of the discrete diffusion process. Source: Ho et al. 2020 (2006.11239), eq. 6 and
/// 7.
Tensor sample_ddpm(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    // Eq. 7 in sigma space, where no difference of numbers near 1 is left.
    const double ratio = s.to / s.from, deviation = s.to * std::sqrt((1 - ratio) * (1 + ratio));
    return shrink(x, denoised, ratio * ratio) + run.draw(x, s.from, s.to) * deviation;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Trajectory consistency sampling: down to timestep (1 - eta) t, then noise up to t. Where both
/// are one timestep (near timestep 0, and without eta) there is no noise to add. The last step
/// lands on timestep 0, at unit variance. eta: 0..1. Source: Zheng et al. 2024 (2402.19159),
/// algorithm 4; diffusers' TCDScheduler.
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

constexpr auto kAncestralSamplers = std::to_array<SamplerRow>({
    {.name = "lcm",
     .function = sample_lcm,
     .help = "for distilled models (DMD2, LCM): x0, then fresh noise",
     .needs = {.noise = NoiseKind::kFresh},
     .names = {.a1111 = "LCM"},
     .diffusers = {.classes = "LCMScheduler",
                   .solver = SolverKind::kDdim,
                   .function = sample_lcm_with_boundary}},
    {.name = "euler_ancestral",
     .function = sample_euler_ancestral,
     .help = "first order with fresh noise",
     .needs = {.noise = NoiseKind::kFresh},
     .names = {.a1111 = "Euler a"},
     .diffusers = {.classes = "EulerAncestralDiscreteScheduler"}},
    {.name = "dpm_2_ancestral",
     .function = sample_dpm_2_ancestral,
     .help = "dpm_2 with fresh noise",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2},
     .names = {.a1111 = "DPM2 a", .automatic = "karras"},
     .a1111 = {.two_calls = true, .discards_penultimate = true},
     .comfyui = {.discards_penultimate = true},
     .diffusers = {.classes = "KDPM2AncestralDiscreteScheduler", .solver = SolverKind::kKdpm2}},
    {.name = "dpmpp_2s_ancestral",
     .function = sample_dpmpp_2s_ancestral,
     .help = "DPM++ 2S with fresh noise, two calls per step",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2},
     .names = {.a1111 = "DPM++ 2S a", .automatic = "karras"},
     .a1111 = {.two_calls = true}},
    {.name = "ddim",
     .function = sample_ddim,
     .help = "DDIM; eta brings in noise",
     .needs = {.noise = NoiseKind::kFresh},
     .defaults = {.eta = 0},
     .names = {.a1111 = "DDIM"},
     .a1111 = {.list = A1111List::kDdim},
     .diffusers = {.classes = "DDIMScheduler;DDIMParallelScheduler",
                   .solver = SolverKind::kDdim,
                   .ends_at_timestep_0 = true,
                   .has_stride = true}},
    {.name = "ddpm",
     .function = sample_ddpm,
     .help = "the discrete diffusion process backwards",
     .needs = {.noise = NoiseKind::kFresh},
     .names = {.a1111 = "DDPM"},
     .diffusers = {.classes = "DDPMScheduler;DDPMParallelScheduler", .solver = SolverKind::kDdim}},
    {.name = "tcd",
     .function = sample_tcd,
     .help = "trajectory consistency, for TCD models",
     .needs = {.noise = NoiseKind::kFresh,
               .max_eta = 1},  // a share of the way to the next timestep
     .defaults = {.eta = 0.3},
     .diffusers = {.classes = "TCDScheduler", .solver = SolverKind::kDdim}},
});

}  // namespace

std::span<const SamplerRow> ancestral_samplers() { return kAncestralSamplers; }

}  // namespace fourstep
