#include "sampling/samplers_multistep.h"

#include <cmath>
#include <utility>
#include <vector>

#include "sampling/multistep_weights.h"

namespace fourstep {

namespace {

/// Weights of the slopes of this step and of those before, the newest first; their number is the order.
using SlopeWeights = std::function<std::vector<double>(const Step& step, int order)>;

int order_of(const std::vector<Tensor>& slopes) { return static_cast<int>(slopes.size()); }

Tensor weighted_sum(const Tensor& x, const std::vector<Tensor>& slopes,
                    const std::vector<double>& weights) {
  Tensor sum = x;
  for (size_t j = 0; j < weights.size(); ++j) sum = sum + slopes[j] * weights[j];
  return sum;
}

/// Euler's method with a weighted sum of the latest slopes in place of one. The weights of `weights`
/// include the length of the step.
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

/// To the level where an Euler step leads, and from the start again with the mean of both slopes. With strides the
/// second slope is that of the list's next level, and the mean is used over the stride that ends there. A stride
/// from the first timestep to below 0 is the whole way: Euler's step. slope: at x.
Tensor first_plms_step(const SamplerRun& run, const Tensor& x, const Tensor& first, const Step& s) {
  const double to = strided_level(run, s.from, s.to, 1);
  const Tensor x2 = at_unit_variance(x + first * (to - s.from), to, s.to);
  if (run.settings.timestep_stride > run.timestep(s.from)) return x2;
  const double from = strided_level(run, s.to, s.from, -1);
  const Tensor mean = (first + slope(x2, run.estimate(x2, s.to), s.to)) / 2;
  return at_unit_variance(x, s.from, from) + mean * (s.to - from);
}

}  // namespace

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

Tensor sample_lms(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    return lagrange_integrals(latest_sigmas(run, s, order), s.from, s.to);
  });
}

Tensor sample_ipndm(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, ipndm_weights);
}

Tensor sample_ipndm_v(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    std::vector<double> lengths = {s.to - s.from};
    for (int k = 1; k < order; ++k) {
      lengths.push_back(run.sigmas[s.index - k + 1] - run.sigmas[s.index - k]);
    }
    return ipndm_v_weights(lengths);
  });
}

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

Tensor sample_deis(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    if (order == 1 || s.to == 0) return std::vector<double>{s.to - s.from};
    return deis_weights(latest_sigmas(run, s, order), s.to);
  });
}

Tensor sample_deis_log(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with_slopes(run, std::move(x), on_step, [&](const Step& s, int order) {
    const bool is_last = s.index + 2 == run.sigmas.size();
    const bool is_lower = is_last && run.settings.last_step == LastStep::kFirstOrder;
    if (order == 1 || s.to == 0 || is_lower) return std::vector<double>{s.to - s.from};
    return log_lagrange_integrals(latest_sigmas(run, s, order), s.from, s.to);
  });
}

Tensor ResHistory::next_target(const Tensor& estimate, double from, double down) {
  Tensor target = estimate;
  if (last_.defined() && down > 0) {
    const double weight = res_weight(std::log(from / down), std::log(last_down_ / last_from_));
    target = estimate * (1 - weight) + last_ * weight;
  }
  last_ = estimate;
  last_from_ = from;
  last_down_ = down;
  return target;
}

Tensor sample_res_multistep(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  ResHistory history;
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const auto [down, up] = ancestral_split(s.from, s.to, run.settings.eta);
    const Tensor target = history.next_target(denoised, s.from, down);
    return shrink(x, target, down / s.from) + run.draw(x, s.from, s.to) * up;
  };
  return run_steps(run, std::move(x), on_step, advance);
}

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

}  // namespace fourstep
