#include "sampling/samplers_ode.h"

#include <cmath>
#include <utility>

namespace fourstep {

Tensor sample_euler(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return run_steps(run, std::move(x), on_step,
                   [](const Tensor& x, const Tensor& denoised, const Step& s) {
                     return x + slope(x, denoised, s.from) * (s.to - s.from);
                   });
}

Tensor sample_heun(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const Tensor d = slope(x, denoised, s.from);
    const Tensor x2 = x + d * (s.to - s.from);
    return x + (d + slope(x2, run.estimate(x2, s.to), s.to)) * ((s.to - s.from) / 2);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

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

Tensor sample_dpm_2(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const auto advance = [&](const Tensor& x, const Tensor& denoised, const Step& s) {
    const double middle = std::sqrt(s.from * s.to);
    const Tensor x2 = x + slope(x, denoised, s.from) * (middle - s.from);
    return x + slope(x2, run.estimate(x2, middle), middle) * (s.to - s.from);
  };
  return run_steps(run, std::move(x), on_step, advance);
}

}  // namespace fourstep
