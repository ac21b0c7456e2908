// CFG++ samplers: the guided estimate says where to go, the estimate without the prompt which noise
// to keep, so that small CFG scales (0.7 to 2) suffice. Source: Chung et al. 2024 (2406.08070); the
// forms are those of ComfyUI's `*_cfg_pp` samplers. All need SamplerRun::uncond.
#include "sampling/samplers.h"

#include <array>
#include <cmath>
#include <utility>

#include "sampling/multistep_weights.h"

namespace fourstep {

namespace {

/// Back from the guided estimate to noise level `to`, along the noise that the model sees without
/// prompt.
Tensor renoise(const SamplerRun& run, const Tensor& x, const Tensor& denoised, const Step& s,
               double to) {
  return denoised + slope(x, run.last_uncond(), s.from) * to;
}

/// Euler's method and DDIM. Source: 2406.08070, algorithm 2.
Tensor sample_euler_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return run_steps(run, std::move(x), on_step,
                   [&](const Tensor& x, const Tensor& denoised, const Step& s) {
                     return renoise(run, x, denoised, s, s.to);
                   });
}

/// With ancestral noise.
Tensor sample_euler_ancestral_cfg_pp(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return run_steps(run, std::move(x), on_step,
                   [&](const Tensor& x, const Tensor& denoised, const Step& s) {
                     const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
                     return renoise(run, x, denoised, s, down) + run.draw(x, s.from, s.to) * up;
                   });
}

/// DPM-Solver++(2M).
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

/// DPM-Solver++(2S) with ancestral noise.
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

/// RES multistep with ancestral noise (eta, default 0).
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

/// Euler's method that extrapolates the slope.
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

constexpr auto kCfgPpSamplers = std::to_array<SamplerRow>({
    {.name = "euler_cfg_pp",
     .function = sample_euler_cfg_pp,
     .help = "CFG++: euler for CFG 0.7 to 2",
     .needs = {.uncond = true}},
    {.name = "euler_ancestral_cfg_pp",
     .function = sample_euler_ancestral_cfg_pp,
     .help = "CFG++: euler_ancestral",
     .needs = {.noise = NoiseKind::kFresh, .uncond = true},
     .names = {.others = "Euler a CFG++"}},
    {.name = "dpmpp_2m_cfg_pp",
     .function = sample_dpmpp_2m_cfg_pp,
     .help = "CFG++: dpmpp_2m",
     .needs = {.uncond = true}},
    {.name = "dpmpp_2s_ancestral_cfg_pp",
     .function = sample_dpmpp_2s_ancestral_cfg_pp,
     .help = "CFG++: dpmpp_2s_ancestral",
     .needs = {.noise = NoiseKind::kFresh, .calls_per_step = 2, .uncond = true},
     .names = {.others = "DPM++ 2S a CFG++"}},
    {.name = "res_multistep_cfg_pp",
     .function = sample_res_multistep_cfg_pp,
     .help = "CFG++: res_multistep",
     .needs = {.noise = NoiseKind::kFresh, .uncond = true},
     .defaults = {.eta = 0}},
    {.name = "res_multistep_ancestral_cfg_pp",
     .function = sample_res_multistep_cfg_pp,
     .help = "CFG++: res_multistep_ancestral",
     .needs = {.noise = NoiseKind::kFresh, .uncond = true}},
    {.name = "ddim_cfg_pp",
     .function = sample_euler_cfg_pp,
     .help = "CFG++: ddim, the same as euler's",
     .needs = {.uncond = true},
     .names = {.a1111 = "DDIM CFG++"},
     .a1111 = {.list = A1111List::kDdim}},
    {.name = "gradient_estimation_cfg_pp",
     .function = sample_gradient_estimation_cfg_pp,
     .help = "CFG++: gradient_estimation",
     .needs = {.uncond = true}},
});

}  // namespace

std::span<const SamplerRow> cfg_pp_samplers() { return kCfgPpSamplers; }

}  // namespace fourstep
