// Samplers with one call per step that combine the slopes or estimates of several steps.
// settings.order: the most of them; the first steps have fewer.
#include "sampling/samplers.h"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "sampling/multistep_weights.h"

namespace fourstep {

namespace {

/// Weights of the slopes of this step and of those before, the newest first; their number is the
/// order.
using SlopeWeights = std::function<std::vector<double>(const Step& step, int order)>;

int order_of(const std::vector<Tensor>& slopes) { return static_cast<int>(slopes.size()); }

Tensor weighted_sum(const Tensor& x, const std::vector<Tensor>& slopes,
                    const std::vector<double>& weights) {
  Tensor sum = x;
  for (size_t j = 0; j < weights.size(); ++j) sum = sum + slopes[j] * weights[j];
  return sum;
}

/// Euler's method with a weighted sum of the latest slopes in place of one. The weights of
/// `weights` include the length of the step.
Tensor sample_with_slopes(const SamplerRun& run, Tensor x, const OnStep& on_step,
                          const SlopeWeights& weights) {
  std::vector<Tensor> slopes;  // the newest first
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    slopes.insert(slopes.begin(), slope(x, denoised, s.from));
    if (static_cast<int>(slopes.size()) > run.settings.order) slopes.pop_back();
    return weighted_sum(x, slopes, weights(s, order_of(slopes)));
  };
  return run_steps(run, std::move(x), on_step, advance, run.settings.last_step);
}

/// The noise levels at which the latest `order` slopes were taken, the newest first.
std::vector<double> latest_sigmas(const SamplerRun& run, const Step& s, int order) {
  std::vector<double> sigmas;
  for (int k = 0; k < order; ++k) sigmas.push_back(run.sigmas[s.index - k]);
  return sigmas;
}

std::vector<double> ipndm_weights(const Step& s, int order) {
  std::vector<double> weights = adams_bashforth_weights(order);
  for (double& weight : weights) weight *= s.to - s.from;
  return weights;
}

/// To the level where an Euler step leads, and from the start again with the mean of both slopes.
/// With strides the second slope is that of the list's next level, and the mean is used over the
/// stride that ends there. A stride from the first timestep to below 0 is the whole way: Euler's
/// step. slope: at x.
Tensor first_plms_step(const SamplerRun& run, const Tensor& x, const Tensor& first, const Step& s) {
  const double to = strided_level(run, s.from, s.to, 1);
  const Tensor x2 = at_unit_variance(x + first * (to - s.from), to, s.to);
  if (run.settings.timestep_stride > run.timestep(s.from)) return x2;
  const double from = strided_level(run, s.to, s.from, -1);
  const Tensor mean = (first + slope(x2, run.estimate(x2, s.to), s.to)) / 2;
  return at_unit_variance(x, s.from, from) + mean * (s.to - from);
}

/// DPM-Solver++(2M). Source: Lu et al. 2022 (2211.01095), algorithm 2; k-diffusion
/// `sample_dpmpp_2m`.
Tensor sample_dpmpp_2m(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  Tensor last_denoised;
  double last_h = 0;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double h = s.h(), excess = last_denoised.defined() ? h / (2 * last_h) : 0;
    const Tensor target = excess == 0 ? denoised : denoised * (1 + excess) - last_denoised * excess;
    last_denoised = denoised;
    last_h = h;
    return shrink(x, target, s.to / s.from);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Linear multistep: the polynomial through the latest slopes, integrated exactly.
/// Source: k-diffusion `sample_lms`, of Katherine Crowson.
Tensor sample_lms(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    return lagrange_integrals(latest_sigmas(run, s, order), s.from, s.to);
  });
}

/// Adams-Bashforth with the weights of equal steps, up to order 4.
/// Source: Zhang and Chen 2022 (2204.13902), "iPNDM".
Tensor sample_ipndm(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, ipndm_weights);
}

/// The same with the weights of the steps as they are. Source: Zhang and Chen 2022; the expressions
/// are those of the diff-solvers program that ComfyUI and Forge use, one of whose terms differs
/// from the exact
/// integral: it is kept, since it decides the picture.
Tensor sample_ipndm_v(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    std::vector<double> lengths = {s.to - s.from};
    for (int k = 1; k < order; ++k) {
      lengths.push_back(run.sigmas[s.index - k + 1] - run.sigmas[s.index - k]);
    }
    return ipndm_v_weights(lengths);
  });
}

/// iPNDM whose first step takes the mean of the slopes at both ends: PLMS. With
/// settings.timestep_stride each step goes so many timesteps down and takes the state there, at
/// unit variance, for that of the list's next level.
/// Source: Liu et al. 2022 (2202.09778); the CompVis stable-diffusion program, A1111; diffusers'
/// PNDMScheduler with skip_prk_steps.
Tensor sample_plms(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  std::vector<Tensor> slopes;  // the newest first
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double to = strided_level(run, s.from, s.to, 1);
    slopes.insert(slopes.begin(), slope(x, denoised, s.from));
    if (slopes.size() > 4) slopes.pop_back();
    if (slopes.size() == 1) return first_plms_step(run, x, slopes[0], s);
    const std::vector<double> w = ipndm_weights({s.index, s.from, to}, order_of(slopes));
    return at_unit_variance(weighted_sum(x, slopes, w), to, s.to);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// DEIS with polynomials in the time of a variance-preserving process, up to order 4; first and
/// last step are Euler's. Source: Zhang and Chen 2022 (2204.13902), "tAB-DEIS".
Tensor sample_deis(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    if (order == 1 || s.to == 0) return std::vector<double>{s.to - s.from};
    return deis_weights(latest_sigmas(run, s, order), s.to);
  });
}

/// DEIS with polynomials in log sigma; the last step is Euler's where settings.last_step is
/// kFirstOrder.
/// Source: Zhang and Chen 2022 (2204.13902), "rhoAB-DEIS"; diffusers' DEISMultistepScheduler
/// ("logrho").
Tensor sample_deis_log(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    const bool is_last = s.index + 2 == run.sigmas.size();
    const bool is_lower = is_last && run.settings.last_step == LastStep::kFirstOrder;
    if (order == 1 || s.to == 0 || is_lower) return std::vector<double>{s.to - s.from};
    return log_lagrange_integrals(latest_sigmas(run, s, order), s.from, s.to);
  });
}

/// Second-order exponential integrator with ancestral noise (eta, default 0: it is drawn, but has
/// no weight).
/// Source: Zhang et al. 2023 (2308.02157), RES multistep; ComfyUI `res_multistep`.
Tensor sample_res_multistep(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  ResHistory history;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor target = history.next_target(denoised, s.from, down);
    return shrink(x, target, down / s.from) + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

/// Euler's method that extrapolates the slope. Source: Permenter and Yuan 2023 (2306.04848), with
/// gamma 2.
Tensor sample_gradient_estimation(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  Tensor last_slope;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const Tensor d = slope(x, denoised, s.from);
    const Tensor extrapolated = last_slope.defined() ? d * 2 - last_slope : d;
    last_slope = d;
    return x + extrapolated * (s.to - s.from);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

constexpr auto kMultistepSamplers = std::to_array<SamplerRow>({
    {.name = "lms",
     .function = sample_lms,
     .help = "linear multistep of order 4",
     .defaults = {.order = 4},
     .names = {.a1111 = "LMS", .others = "LMSD"},
     .diffusers = {.classes = "LMSDiscreteScheduler", .last_step = LastStep::kFormula}},
    {.name = "dpmpp_2m",
     .function = sample_dpmpp_2m,
     .help = "second order, deterministic",
     .names = {.a1111 = "DPM++ 2M", .automatic = "karras"},
     .diffusers = {.classes = "DPMSolverMultistepScheduler",
                   .settings = "algorithm_type=dpmsolver++;solver_type=midpoint;solver_order=2",
                   .solver = SolverKind::kMultistep}},
    {.name = "ipndm",
     .function = sample_ipndm,
     .help = "Adams-Bashforth of order 4",
     .defaults = {.order = 4},
     .names = {.a1111 = "IPNDM"}},
    {.name = "ipndm_v",
     .function = sample_ipndm_v,
     .help = "ipndm for unequal steps",
     .defaults = {.order = 4},
     .names = {.a1111 = "IPNDM_V"}},
    {.name = "plms",
     .function = sample_plms,
     .help = "pseudo linear multistep, one call more",
     .defaults = {.order = 4},
     .names = {.a1111 = "PLMS"},
     .a1111 = {.list = A1111List::kDdim},
     .diffusers = {.classes = "PNDMScheduler",
                   .solver = SolverKind::kDdim,
                   .ends_at_timestep_0 = true,
                   .has_stride = true}},
    {.name = "deis",
     .function = sample_deis,
     .help = "exponential integrator of order 3",
     .names = {.a1111 = "DEIS"},
     .diffusers = {.classes = "DEISMultistepScheduler",
                   .settings = "algorithm_type=deis;solver_type=logrho;solver_order=2",
                   .solver = SolverKind::kMultistep,
                   .function = sample_deis_log,
                   .order = 2,
                   .last_step = LastStep::kFormula,
                   .first_order_below = 15,
                   .ends_at_timestep_0 = true}},
    {.name = "res_multistep",
     .function = sample_res_multistep,
     .help = "second order exponential integrator",
     .needs = {.noise = NoiseKind::kFresh},
     .defaults = {.eta = 0}},
    {.name = "res_multistep_ancestral",
     .function = sample_res_multistep,
     .help = "res_multistep with fresh noise",
     .needs = {.noise = NoiseKind::kFresh}},
    {.name = "gradient_estimation",
     .function = sample_gradient_estimation,
     .help = "Euler with an extrapolated slope",
     .names = {.others = "euler_ge"}},
});

}  // namespace

std::span<const SamplerRow> multistep_samplers() { return kMultistepSamplers; }

}  // namespace fourstep
