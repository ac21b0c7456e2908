#include "sampling/restart.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sampling/samplers_ode.h"
#include "sampling/schedules.h"

namespace fourstep {

namespace {

size_t nearest(const std::vector<double>& sigmas, double sigma) {
  const auto is_nearer = [sigma](double a, double b) {
    return std::abs(a - sigma) < std::abs(b - sigma);
  };
  return static_cast<size_t>(std::min_element(sigmas.begin(), sigmas.end(), is_nearer) -
                             sigmas.begin());
}

}  // namespace

std::vector<double> restart_levels(std::span<const double> sigmas) {
  constexpr int kFewest = 20, kFewestForTwo = 36, kStretch = 9;
  constexpr double kTop = 2, kBottom = 0.1, kRho = 7;
  const int steps = static_cast<int>(sigmas.size()) - 1;
  if (steps < kFewest || sigmas.back() != 0) return {sigmas.begin(), sigmas.end()};
  const int times = steps >= kFewestForTwo ? 2 : 1;
  const int stretch = steps >= kFewestForTwo ? steps / 4 : kStretch;
  std::vector<double> levels =
      karras_sigmas(steps - stretch * times, {sigmas[sigmas.size() - 2], sigmas[0]}, kRho);
  const size_t bottom = nearest(levels, kBottom);
  const double low = levels[bottom], high = levels[nearest(levels, kTop)];
  if (!(low > 0 && high > low)) return levels;
  std::vector<double> again = karras_sigmas(stretch + 1, {low, high}, kRho);
  again.pop_back();  // its 0
  for (int i = 0; i < times; ++i) {
    levels.insert(levels.begin() + static_cast<ptrdiff_t>(bottom) + 1, again.begin(), again.end());
  }
  return levels;
}

Tensor sample_restart(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const std::vector<double> levels = restart_levels(run.sigmas);
  SamplerRun planned = run;
  planned.sigmas = levels;
  return sample_heun(planned, std::move(x), on_step);
}

}  // namespace fourstep
