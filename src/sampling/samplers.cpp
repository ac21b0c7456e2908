#include "sampling/samplers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "sampling/find_row.h"

namespace fourstep {

std::function<Tensor(const Tensor& like)> noise_like(NoiseSource source) {
  return [source = std::move(source)](const Tensor& like) {
    return source(shape_of(like)).to(like.options());
  };
}

namespace {

void check_falling(std::span<const double> sigmas) {
  for (size_t i = 0; i < sigmas.size(); ++i) {
    if (!std::isfinite(sigmas[i]) || sigmas[i] < 0 || (i > 0 && sigmas[i] >= sigmas[i - 1])) {
      throw Error(
          "run_steps: sigma {} of {} is {} after {}, expected finite falling numbers from 0 up",
          i + 1, sigmas.size(), sigmas[i], i > 0 ? fmt::format("{}", sigmas[i - 1]) : "none");
    }
  }
}

Tensor draw(const SamplerOptions& opt, const Tensor& like) {
  if (!opt.noise)
    throw Error("sampler: SamplerOptions::noise is empty, and this sampler draws noise");
  return opt.noise(like);
}

}  // namespace

Tensor run_steps(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                 const OnStep& on_step, const Advance& advance) {
  check_falling(sigmas);
  const int64_t num_steps = static_cast<int64_t>(sigmas.size()) - 1;
  for (int64_t i = 0; i < num_steps; ++i) {
    const Tensor denoised = denoise(x, torch::full({x.size(0)}, sigmas[i], torch::kFloat64));
    if (on_step) on_step({i, num_steps, sigmas[i], denoised});
    x = sigmas[i + 1] == 0 ? denoised : advance(x, denoised, sigmas[i], sigmas[i + 1]);
  }
  return x;
}

AncestralSplit ancestral_split(double from, double to, double eta) {
  if (eta == 0) return {to, 0};
  const double sigma_up = std::min(to, eta * to / from * std::sqrt(from * from - to * to));
  return {std::sqrt(to * to - sigma_up * sigma_up), sigma_up};
}

Tensor sample_lcm(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                  const SamplerOptions& opt, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, double, double to) {
    return denoised + draw(opt, x) * (opt.s_noise * to);
  };
  return run_steps(denoise, std::move(x), sigmas, on_step, advance);
}

Tensor sample_euler(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                    const SamplerOptions&, const OnStep& on_step) {
  const auto advance = [](const Tensor& x, const Tensor& denoised, double from, double to) {
    const Tensor d = (x - denoised) / from;  // dx/dsigma
    return x + d * (to - from);
  };
  return run_steps(denoise, std::move(x), sigmas, on_step, advance);
}

Tensor sample_euler_ancestral(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                              const SamplerOptions& opt, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, double from, double to) {
    const auto [sigma_down, sigma_up] = ancestral_split(from, to, opt.eta);
    const Tensor d = (x - denoised) / from;  // dx/dsigma
    return x + d * (sigma_down - from) + draw(opt, x) * (opt.s_noise * sigma_up);
  };
  return run_steps(denoise, std::move(x), sigmas, on_step, advance);
}

Tensor sample_dpmpp_2m(const Denoiser& denoise, Tensor x, std::span<const double> sigmas,
                       const SamplerOptions&, const OnStep& on_step) {
  Tensor last_denoised;
  double last_h = 0;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, double from, double to) {
    const double h = std::log(from / to);  // step in lambda = -log(sigma)
    const double slope = last_denoised.defined() ? h / (2 * last_h) : 0;
    const Tensor target = slope == 0 ? denoised : denoised * (1 + slope) - last_denoised * slope;
    last_denoised = denoised;
    last_h = h;
    return x * (to / from) - target * std::expm1(-h);
  };
  return run_steps(denoise, std::move(x), sigmas, on_step, advance);
}

std::span<const SamplerRow> sampler_rows() {
  static constexpr std::array kRows = {
      SamplerRow{"lcm", sample_lcm, true, "for distilled models (DMD2, LCM): x0, then fresh noise"},
      SamplerRow{"euler", sample_euler, false, "first order, deterministic"},
      SamplerRow{"euler_ancestral", sample_euler_ancestral, true, "first order with fresh noise"},
      SamplerRow{"dpmpp_2m", sample_dpmpp_2m, false, "second order, deterministic"},
  };
  return kRows;
}

const SamplerRow& find_sampler(std::string_view name) {
  return find_row(sampler_rows(), "sampler", name);
}

}  // namespace fourstep
