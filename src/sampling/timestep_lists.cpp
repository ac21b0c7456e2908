#include "sampling/timestep_lists.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "sampling/sigma_lists.h"
#include "sampling/table_schedules.h"

namespace fourstep {

namespace {

constexpr int kTrainTimesteps = 1000;
constexpr double kLast = kTrainTimesteps - 1;

}  // namespace

std::vector<double> timesteps_trailing(int steps) {
  const double stride = static_cast<double>(kTrainTimesteps) / steps;
  std::vector<double> timesteps;
  for (int k = 0; k < steps; ++k) {
    timesteps.push_back(std::nearbyint(kTrainTimesteps - k * stride) - 1);
  }
  return timesteps;
}

std::vector<double> timesteps_leading(int steps) {
  constexpr int kOffset = 1;
  const int stride = std::max(kTrainTimesteps / steps, 1);  // whole, as there
  std::vector<double> timesteps;
  for (int k = steps - 1; k >= 0; --k) {
    const double timestep = k * stride + kOffset;
    if (timestep <= kLast) timesteps.push_back(timestep);
  }
  return timesteps;
}

std::vector<double> timesteps_linspace(int steps) {
  if (steps == 1) return {0};
  const double stride = kLast / (steps - 1);
  std::vector<double> timesteps = {kLast};
  // The stride is taken first, as in numpy: its rounding decides half-way cases.
  for (int k = steps - 2; k >= 0; --k) timesteps.push_back(k * stride);
  return timesteps;
}

std::vector<double> diffusers_timesteps(SolverKind solver, Spacing spacing, int steps) {
  if (spacing == Spacing::kTrailing) return timesteps_trailing(steps);
  const bool is_leading = spacing == Spacing::kLeading;
  if (solver != SolverKind::kMultistep) {
    auto timesteps = is_leading ? timesteps_leading(steps) : timesteps_linspace(steps);
    for (double& t : timesteps) t = solver == SolverKind::kDdim ? std::nearbyint(t) : t;
    return timesteps;
  }
  auto timesteps = is_leading ? timesteps_leading(steps + 1) : timesteps_linspace(steps + 1);
  timesteps.pop_back();
  for (double& t : timesteps) t = std::nearbyint(t);
  timesteps.erase(std::unique(timesteps.begin(), timesteps.end()), timesteps.end());
  return timesteps;
}

std::vector<double> timesteps_lcm(int steps, int original_steps, double strength) {
  if (original_steps < 1 || original_steps > kTrainTimesteps) {
    throw InvalidRequest("timesteps_lcm: a model distilled on {} timesteps, expected 1 to {}",
                         original_steps, kTrainTimesteps);
  }
  const int stride = kTrainTimesteps / original_steps;
  const int grid_size = static_cast<int>(original_steps * strength);
  if (steps > grid_size) {
    throw InvalidRequest("timesteps_lcm: {} steps out of a grid of {}, expected at most as many",
                         steps, grid_size);
  }
  std::vector<double> timesteps;
  for (int j = 0; j < steps; ++j) {
    const int picked = static_cast<int>(j * (static_cast<double>(grid_size) / steps));
    timesteps.push_back((grid_size - picked) * stride - 1);
  }
  return timesteps;
}

std::vector<double> last_timesteps(std::span<const double> timesteps, double strength) {
  if (!(strength >= 0)) throw InvalidRequest("strength {}, expected 0 to 1", strength);
  const double share = std::min(strength, 1.0) * static_cast<double>(timesteps.size());
  const auto kept = timesteps.last(static_cast<size_t>(share));
  return {kept.begin(), kept.end()};
}

namespace {

constexpr int kA1111Timesteps = 1000;

void check_steps(int steps) {
  if (steps < 1 || steps > kA1111Timesteps) {
    throw InvalidRequest("A1111's timesteps: {} steps, expected 1 to {}", steps, kA1111Timesteps);
  }
}

}  // namespace

std::vector<double> timesteps_a1111(int steps) {
  check_steps(steps);
  std::vector<double> timesteps;
  for (int t = 0; t < kA1111Timesteps; t += kA1111Timesteps / steps) {
    timesteps.push_back(std::min(t + 1, kA1111Timesteps - 1));
  }
  std::reverse(timesteps.begin(), timesteps.end());
  return timesteps;
}

std::vector<double> schedule_a1111_ddim(const NoiseSchedule& schedule, int steps) {
  std::vector<double> sigmas;
  for (const double t : timesteps_a1111(steps)) sigmas.push_back(sigma_from_timestep(schedule, t));
  return sigmas;
}

std::vector<double> schedule_a1111_unipc(const NoiseSchedule& schedule, int steps) {
  check_steps(steps);
  const double last = schedule.last_timestep();
  std::vector<double> sigmas;
  for (int k = 0; k <= steps; ++k) {
    sigmas.push_back(sigma_from_log_alpha(schedule, last - last * k / steps));
  }
  return sigmas;
}

double sigma_from_log_alpha(const NoiseSchedule& schedule, double timestep) {
  const double index = std::clamp(timestep, 0.0, schedule.last_timestep());
  const double low = std::floor(index);
  const auto log_alpha = [&](double entry) {
    return std::log(schedule.alphas_cumprod[static_cast<size_t>(entry)]);
  };
  const double value =
      log_alpha(low) + (log_alpha(std::ceil(index)) - log_alpha(low)) * (index - low);
  return std::sqrt(std::expm1(-value));
}

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
