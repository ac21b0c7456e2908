#include "sampling/diffusers_schedules.h"

#include <algorithm>
#include <cmath>

#include "sampling/sigma_lists.h"
#include "sampling/table_schedules.h"

namespace fourstep {

namespace {

std::vector<double> remapped(const DiffusersList& list, int steps, SigmaRange range) {
  if (list.remap == Remap::kKarras) return karras_sigmas(steps, range, list.rho);
  if (list.remap == Remap::kExponential) return polyexponential_sigmas(steps, range, /*rho=*/1);
  return beta_sigmas(steps, range, list.alpha, list.beta);
}

}  // namespace

std::vector<double> diffusers_sigmas(const NoiseSchedule& schedule, const DiffusersList& list,
                                     int steps) {
  const auto timesteps = diffusers_timesteps(list.solver, list.spacing, steps);
  auto sigmas = linear_sigmas_at(schedule, timesteps);
  if (list.remap == Remap::kNone) return sigmas;
  if (list.solver == SolverKind::kMultistep) {
    return remapped(list, steps, {schedule.sigma_min(), schedule.sigma_max()});
  }
  return remapped(list, steps, {sigmas[sigmas.size() - 2], sigmas.front()});
}

double diffusers_timestep(const NoiseSchedule& schedule, double sigma) {
  const auto& table = schedule.sigmas;
  const auto log_of = [](double level) -> double { return std::log(static_cast<float>(level)); };
  const double wanted = std::log(sigma);
  const auto above =
      std::upper_bound(table.begin(), table.end(), wanted,
                       [&](double value, double level) { return value < log_of(level); }) -
      table.begin();
  const auto k = std::clamp<int64_t>(above - 1, 0, static_cast<int64_t>(table.size()) - 2);
  const double low = log_of(table[k]), high = log_of(table[k + 1]);
  return static_cast<double>(k) + std::clamp((wanted - low) / (high - low), 0.0, 1.0);
}

double diffusers_told_timestep(const NoiseSchedule& schedule, double sigma, SolverKind solver,
                               Remap remap) {
  const double timestep = diffusers_timestep(schedule, sigma);
  const bool is_karras = remap == Remap::kKarras;
  if (solver == SolverKind::kEuler || (solver == SolverKind::kKdpm2 && !is_karras)) return timestep;
  const bool is_cut = solver == SolverKind::kMultistep && remap != Remap::kNone && !is_karras;
  return is_cut ? std::floor(timestep) : std::nearbyint(timestep);
}

}  // namespace fourstep
