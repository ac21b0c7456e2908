#include "sampling/diffusers_schedules.h"

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

std::vector<double> diffusers_network_timesteps(const NoiseSchedule& schedule,
                                                std::span<const double> sigmas, SolverKind solver) {
  std::vector<double> timesteps;
  for (const double sigma : sigmas) {
    if (sigma == 0) continue;
    const double timestep = interpolated_timestep(schedule, sigma);
    timesteps.push_back(solver == SolverKind::kMultistep ? std::nearbyint(timestep) : timestep);
  }
  return timesteps;
}

double diffusers_init_noise_sigma(double sigma_max, Spacing spacing) {
  return spacing == Spacing::kLeading ? std::hypot(sigma_max, 1) : sigma_max;
}

}  // namespace fourstep
