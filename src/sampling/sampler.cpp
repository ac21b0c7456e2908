#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace fourstep {

namespace {

/// The noise level to which s_churn raises a step's start; `num_steps` share it.
/// Source: Karras et al. 2022 (2206.00364), algorithm 2.
double churned(const SamplerSettings& settings, double sigma, int64_t num_steps) {
  if (settings.s_churn <= 0 || sigma < settings.s_tmin || sigma > settings.s_tmax) return sigma;
  return sigma *
         (1 + std::min(settings.s_churn / static_cast<double>(num_steps), std::sqrt(2.0) - 1));
}

/// x at noise level `from` brought to the higher level `to`.
Tensor add_noise(const SamplerRun& run, const Tensor& x, double from, double to) {
  if (to == from) return x;
  return x + run.draw(x, to, from) * std::sqrt(to * to - from * from);
}

int64_t count_falls(std::span<const double> sigmas) {
  int64_t falls = 0;
  for (size_t i = 1; i < sigmas.size(); ++i) falls += sigmas[i] < sigmas[i - 1] ? 1 : 0;
  return falls;
}

}  // namespace

StepNoise noise_like(NoiseSource source) {
  return [source = std::move(source)](const Tensor& like, double, double) {
    return source(shape_of(like)).to(like.options());
  };
}

Tensor SamplerRun::draw(const Tensor& like, double from, double to) const {
  if (!noise) throw Error("sampler: SamplerRun::noise is empty, and this sampler draws noise");
  const Tensor drawn = noise(like, from, to);
  return settings.s_noise == 1 ? drawn : drawn * settings.s_noise;
}

Tensor SamplerRun::last_uncond() const {
  if (!uncond) throw Error("sampler: SamplerRun::uncond is empty, and this sampler is a CFG++ one");
  return uncond();
}

double SamplerRun::timestep(double sigma) const {
  return timestep_of ? timestep_of(sigma) : nearest_timestep(schedule, sigma);
}

double Step::h() const { return std::log(from / to); }

void check_falling(std::span<const double> sigmas) {
  constexpr double kLeastFall = 1e-9;  // samplers divide by what log sigma falls
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const bool falls = i == 0 || sigmas[i] < sigmas[i - 1] * (1 - kLeastFall);
    if (!std::isfinite(sigmas[i]) || sigmas[i] < 0 || !falls) {
      throw InvalidRequest(
          "sampler: sigma {} of {} is {} after {}, expected finite falling numbers from 0 up; use "
          "fewer steps or another schedule",
          i + 1, sigmas.size(), sigmas[i], i > 0 ? fmt::format("{}", sigmas[i - 1]) : "none");
    }
  }
}

Tensor run_steps(const SamplerRun& run, Tensor x, const OnStep& on_step, const Advance& advance,
                 LastStep last) {
  const int64_t num_steps = count_falls(run.sigmas);
  int64_t done = 0;
  for (size_t i = 0; i + 1 < run.sigmas.size(); ++i) {
    const double level = run.sigmas[i], to = run.sigmas[i + 1];
    const double from = to > level ? to : churned(run.settings, level, num_steps);
    x = add_noise(run, x, level, from);
    if (to > level) continue;
    const Tensor denoised = run.denoise(x, at::full({x.size(0)}, from, torch::kFloat64));
    if (on_step) on_step({done++, num_steps, from, denoised});
    x = to == 0 && last == LastStep::kEstimate ? denoised : advance(x, denoised, {i, from, to});
  }
  return x;
}

Tensor slope(const Tensor& x, const Tensor& denoised, double sigma) {
  return (x - denoised) / sigma;
}

Tensor at_unit_variance(const Tensor& x, double from, double to) {
  return from == to ? x : x * (std::hypot(1, to) / std::hypot(1, from));
}

double strided_level(const SamplerRun& run, double sigma, double otherwise, int strides) {
  const int stride = run.settings.timestep_stride;
  if (stride == 0) return otherwise;
  return sigma_from_timestep(run.schedule, run.timestep(sigma) - strides * stride);
}

Tensor shrink(const Tensor& x, const Tensor& denoised, double ratio) {
  return x * ratio + denoised * (1 - ratio);
}

AncestralSplit ancestral_split(double from, double to, double eta) {
  if (eta == 0) return {to, 0};
  const double sigma_up = std::min(to, eta * to / from * std::sqrt(from * from - to * to));
  return {std::sqrt(to * to - sigma_up * sigma_up), sigma_up};
}

}  // namespace fourstep
