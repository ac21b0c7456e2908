#include "pipeline/diffusers_plan.h"

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "sampling/timestep_lists.h"

namespace fourstep {

namespace {

/// The list's spacing where a schedule is nothing but that, as it is asked for.
std::optional<Spacing> spacing_of(const ResolvedSampling& asked) {
  if (!uses_schedule(asked)) return std::nullopt;
  if (asked.schedule == "trailing") return Spacing::kTrailing;
  if (asked.schedule == "leading") return Spacing::kLeading;
  if (asked.schedule == "linspace") return Spacing::kLinspace;
  return std::nullopt;
}

Remap remap_of(const ResolvedSampling& asked) {
  if (!uses_schedule(asked)) return Remap::kNone;
  if (asked.schedule == "karras") return Remap::kKarras;
  if (asked.schedule == "exponential") return Remap::kExponential;
  return asked.schedule == "beta" ? Remap::kBeta : Remap::kNone;
}

/// The timesteps of a request that names them, by its list or its schedule; else none.
std::vector<double> named_timesteps(const ResolvedSampling& asked, SolverKind solver) {
  if (!asked.timesteps.empty()) return asked.timesteps;
  const auto spacing = spacing_of(asked);
  if (!spacing) return {};
  return diffusers_timesteps(solver, *spacing, static_cast<int>(asked.steps));
}

/// The timesteps at the levels of a list, and by the scheduler's rule between them.
TimestepOf told_timesteps(const ResolvedSampling& asked, const SamplingPlan& plan,
                          SolverKind solver) {
  std::vector<double> timesteps = named_timesteps(asked, solver);
  if (timesteps.empty()) {
    for (const double sigma : plan.sigmas) {
      if (sigma == 0) continue;
      timesteps.push_back(diffusers_told_timestep(plan.schedule, sigma, solver, remap_of(asked)));
    }
  }
  return [schedule = plan.schedule, sigmas = plan.sigmas, timesteps = std::move(timesteps),
          solver](double sigma) {
    for (size_t i = 0; i < timesteps.size() && i < sigmas.size(); ++i) {
      if (sigmas[i] == sigma) return timesteps[i];
    }
    return diffusers_told_timestep(schedule, sigma, solver, Remap::kNone);
  };
}

/// Replaces the final 0 by the level of timestep 0; a list that is there already ends where it is. Whether a step is left
/// for it.
bool end_at_timestep_0(SamplingPlan& plan) {
  constexpr double kRounding = 1e-6;
  std::vector<double>& sigmas = plan.sigmas;
  const double end = plan.schedule.sigma_min();
  const bool is_there = sigmas[sigmas.size() - 2] <= end * (1 + kRounding);
  is_there ? sigmas.pop_back() : void(sigmas.back() = end);
  plan.output_scale = 1 / std::hypot(1, sigmas.back());
  return !is_there;
}

}  // namespace

void follow_diffusers(const ResolvedSampling& asked, SamplingPlan& plan) {
  plan.settings.last_step = LastStep::kEstimate;
  const DiffusersScheduler& scheduler = find_sampler(asked.sampler).diffusers;
  if (!scheduler.exists()) return;
  const auto spacing = spacing_of(asked);
  if (scheduler.is_linspace_only && spacing && *spacing != Spacing::kLinspace) {
    throw InvalidRequest(
        "--dialect diffusers: {} ({}) has no {} timesteps; use --schedule linspace, karras, "
        "exponential or beta",
        scheduler.name(), asked.sampler, asked.schedule);
  }
  const int steps = static_cast<int>(plan.sigmas.size()) - 1;
  if (scheduler.ends_at_timestep_0 && steps == 1 && remap_of(asked) != Remap::kNone) {
    throw InvalidRequest(
        "--dialect diffusers: {} ({}) ends at the last level of {}, which leaves no step to make "
        "for "
        "--steps 1; use more steps",
        scheduler.name(), asked.sampler, asked.schedule);
  }
  plan.timestep_of = told_timesteps(asked, plan, scheduler.solver);
  plan.settings.last_step = scheduler.last_step;
  const bool has_step_to_end = !scheduler.ends_at_timestep_0 || end_at_timestep_0(plan);
  if (has_step_to_end && steps < scheduler.first_order_below) {
    plan.settings.last_step = LastStep::kFirstOrder;
  }
  if (scheduler.order > 0) plan.settings.order = scheduler.order;
  if (scheduler.function) plan.sampler.function = scheduler.function;
  if (scheduler.draws_from_stream) plan.sampler.needs.noise = NoiseKind::kFresh;
  if (scheduler.has_stride && spacing) {
    plan.settings.timestep_stride =
        static_cast<int>(plan.schedule.alphas_cumprod.size()) / static_cast<int>(asked.steps);
  }
  const bool is_euler =
      scheduler.solver == SolverKind::kEuler || scheduler.solver == SolverKind::kKdpm2;
  const bool starts_at_sigma = is_euler && spacing && *spacing != Spacing::kLeading;
  plan.noise_scale = starts_at_sigma ? NoiseScale::kSigma : NoiseScale::kUnitVariance;
}

}  // namespace fourstep
