#include "sampling/samplers_cfg_pp.h"

#include <cmath>
#include <utility>

#include "sampling/samplers_multistep.h"

namespace fourstep {

namespace {

/// Back from the guided estimate to noise level `to`, along the noise that the model sees without prompt.
Tensor renoise(const SamplerRun& run, const Tensor& x, const Tensor& denoised, const Step& s,
               double to) {
  return denoised + slope(x, run.last_uncond(), s.from) * to;
}

}  // namespace

Tensor sample_euler_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return run_steps(run, std::move(x), on_step,
                   [&](const Tensor& x, const Tensor& denoised, const Step& s) {
                     return renoise(run, x, denoised, s, s.to);
                   });
}

Tensor sample_euler_ancestral_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return run_steps(run, std::move(x), on_step,
                   [&](const Tensor& x, const Tensor& denoised, const Step& s) {
                     const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
                     return renoise(run, x, denoised, s, down) + run.draw(x, s.from, s.to) * up;
                   });
}

Tensor sample_dpmpp_2m_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  Tensor last_uncond;
  double last_h = 0;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double ratio = s.to / s.from, h = s.h();
    const Tensor uncond = run.last_uncond();
    Tensor next = denoised + (x - uncond) * ratio;
    if (last_uncond.defined())
      next = next + (denoised - last_uncond) * ((1 - ratio) * h / (2 * last_h));
    last_uncond = uncond;
    last_h = h;
    return next;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_dpmpp_2s_ancestral_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    if (down == 0) return denoised + run.draw(x, s.from, s.to) * up;
    const double middle = std::sqrt(s.from * down);
    const Tensor between = shrink(x + denoised - run.last_uncond(), denoised, middle / s.from);
    const Tensor second = run.estimate(between, middle);
    const Tensor lower = shrink(x + denoised - run.last_uncond(), second, down / s.from);
    return lower + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_res_multistep_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  ResHistory history;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor uncond = run.last_uncond();
    const bool is_first = !history.is_there();
    const Tensor target = history.next_target(uncond, s.from, down);
    const Tensor lower = is_first || down == 0
                             ? renoise(run, x, denoised, s, down)
                             : shrink(x + denoised - uncond, target, down / s.from);
    return lower + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

Tensor sample_gradient_estimation_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  Tensor last_slope;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const Tensor d = slope(x, run.last_uncond(), s.from);
    const Tensor change = last_slope.defined() ? d - last_slope : torch::zeros_like(d);
    last_slope = d;
    return denoised + d * s.to + change * (s.to - s.from);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

}  // namespace fourstep
