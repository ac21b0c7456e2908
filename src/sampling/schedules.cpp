#include "sampling/schedules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "sampling/names.h"
#include "sampling/schedule_tables.h"
#include "sampling/timestep_lists.h"

namespace fourstep {

namespace {

using Sigmas = std::vector<double>;
using Settings = ScheduleSettings;
using Table = NoiseSchedule;

constexpr double kBetaShape = 0.6;

SigmaRange range_of(const Table& table, const Settings& settings) {
  return {settings.sigma_min.value_or(table.sigma_min()),
          settings.sigma_max.value_or(table.sigma_max())};
}

TimestepRange timesteps_of(const Table& table, const Settings& settings) {
  const auto timestep = [&](const std::optional<double>& sigma, double otherwise) {
    return sigma ? interpolated_timestep(table, *sigma) : otherwise;
  };
  return {timestep(settings.sigma_max, table.last_timestep()), timestep(settings.sigma_min, 0)};
}

Sigmas dmd2(const Table& table, int steps, const Settings&) { return dmd2_sigmas(table, steps); }

Sigmas simple(const Table& table, int steps, const Settings&) {
  return simple_sigmas(table, steps);
}

Sigmas normal(const Table& table, int steps, const Settings& settings) {
  return normal_sigmas(table, steps, timesteps_of(table, settings));
}

Sigmas sgm_uniform(const Table& table, int steps, const Settings& settings) {
  return sgm_uniform_sigmas(table, steps, timesteps_of(table, settings));
}

Sigmas karras(const Table& table, int steps, const Settings& settings) {
  return karras_sigmas(steps, range_of(table, settings), settings.rho.value_or(7));
}

Sigmas exponential(const Table& table, int steps, const Settings& settings) {
  return polyexponential_sigmas(steps, range_of(table, settings), /*rho=*/1);
}

Sigmas polyexponential(const Table& table, int steps, const Settings& settings) {
  return polyexponential_sigmas(steps, range_of(table, settings), settings.rho.value_or(1));
}

Sigmas beta_entries(const Table& table, int steps, const Settings& settings) {
  return beta_entry_sigmas(table, steps, settings.alpha.value_or(kBetaShape),
                           settings.beta.value_or(kBetaShape));
}

/// The shapes are tenths.
template <int kAlpha, int kBeta>
Sigmas beta_of(const Table& table, int steps, const Settings&) {
  return beta_entry_sigmas(table, steps, kAlpha / 10.0, kBeta / 10.0);
}

Sigmas smoothstep(const Table& table, int steps, const Settings&) {
  return smoothstep_sigmas(table, steps);
}

Sigmas bong_tangent(const Table& table, int steps, const Settings& settings) {
  return bong_tangent_sigmas(steps, range_of(table, settings));
}

Sigmas beta_linear(const Table& table, int steps, const Settings& settings) {
  return beta_sigmas(steps, range_of(table, settings), settings.alpha.value_or(kBetaShape),
                     settings.beta.value_or(kBetaShape));
}

Sigmas ddim_uniform(const Table& table, int steps, const Settings&) {
  return ddim_uniform_sigmas(table, steps);
}

Sigmas kl_optimal(const Table& table, int steps, const Settings& settings) {
  return kl_optimal_sigmas(steps, range_of(table, settings));
}

Sigmas kl_optimal_to_min(const Table& table, int steps, const Settings& settings) {
  return kl_optimal_sigmas_to_min(steps, range_of(table, settings));
}

Sigmas linear_quadratic(const Table& table, int steps, const Settings& settings) {
  return linear_quadratic_sigmas(steps, range_of(table, settings).max);
}

Sigmas laplace(const Table& table, int steps, const Settings& settings) {
  return laplace_sigmas(steps, range_of(table, settings), settings.mu.value_or(0),
                        settings.beta.value_or(0.5));
}

Sigmas vp(const Table&, int steps, const Settings& settings) {
  return vp_sigmas(steps, settings.vp);
}

Sigmas turbo(const Table& table, int steps, const Settings&) { return turbo_sigmas(table, steps); }

Sigmas sd_turbo(const Table& table, int steps, const Settings& settings) {
  return sd_turbo_sigmas(table, steps, settings.denoise);
}

/// ComfyUI's nodes for lists of numbers: the last round(steps denoise) + 1 of them, at least one
/// step, and 0 in place of the very last.
Sigmas last_share(Sigmas sigmas, int steps, double denoise) {
  const int kept = std::max(1, static_cast<int>(std::nearbyint(steps * denoise)));
  sigmas.erase(sigmas.begin(), sigmas.end() - (kept + 1));
  sigmas.back() = 0;
  return sigmas;
}

Sigmas align_your_steps(const Table&, int steps, const Settings& settings) {
  const auto levels = align_your_steps_table(AysTable::kComfy, settings.model);
  return last_share(log_interpolated(levels, steps + 1), steps, settings.denoise);
}

Sigmas ays_30(const Table& table, int steps, const Settings& settings) {
  Sigmas levels = sigmas_at(table, ays_30_timesteps(settings.model));
  levels.pop_back();  // the clean end
  return last_share(log_interpolated(levels, steps + 1), steps, settings.denoise);
}

Sigmas gits(const Table&, int steps, const Settings& settings) {
  constexpr int kLongest = 20;
  const double coefficient = settings.coefficient.value_or(1.20);
  auto levels = gits_table_sigmas(coefficient, std::min(steps, kLongest));
  if (steps > kLongest) levels = log_interpolated(levels, steps + 1);
  return last_share(std::move(levels), steps, settings.denoise);
}

/// Forge's way with a table: as many numbers as steps, then 0.
template <AysTable kTable>
Sigmas forge_table(const Table&, int steps, const Settings& settings) {
  auto sigmas = log_interpolated(align_your_steps_table(kTable, settings.model), steps);
  sigmas.push_back(0);
  return sigmas;
}

Sigmas lcm(const Table& table, int steps, const Settings& settings) {
  return sigmas_at(table, timesteps_lcm(steps, settings.original_steps, settings.denoise));
}

template <Spacing kSpacing>
Sigmas spaced(const Table& table, int steps, const Settings& settings) {
  return diffusers_sigmas(table, {settings.solver, kSpacing}, steps);
}

template <Remap kRemap>
Sigmas remapped(const Table& table, int steps, const Settings& settings) {
  const DiffusersList list{settings.solver,
                           settings.spacing,
                           kRemap,
                           settings.rho.value_or(7),
                           settings.alpha.value_or(kBetaShape),
                           settings.beta.value_or(kBetaShape)};
  return diffusers_sigmas(table, list, steps);
}

constexpr std::array kScheduleRows = {
    ScheduleRow{"dmd2", dmd2, "the timesteps DMD2 models were distilled at"},
    ScheduleRow{
        "simple", simple, "equally spaced entries of the model's table", {.a1111 = "Simple"}},
    ScheduleRow{"normal",
                normal,
                "equally spaced timesteps, both ends included",
                {.a1111 = "Normal", .others = "uniform;discrete"}},
    ScheduleRow{"sgm_uniform",
                sgm_uniform,
                "equally spaced timesteps, the last left out",
                {.a1111 = "SGM Uniform", .others = "sgm"}},
    ScheduleRow{"karras",
                karras,
                "more steps at low noise (rho 7)",
                {.a1111 = "Karras", .others = "ka;k"},
                nullptr,
                remapped<Remap::kKarras>},
    ScheduleRow{"exponential",
                exponential,
                "equally spaced in log sigma",
                {.a1111 = "Exponential"},
                nullptr,
                remapped<Remap::kExponential>},
    ScheduleRow{"polyexponential",
                polyexponential,
                "exponential, bent by rho",
                {.a1111 = "Polyexponential"}},
    ScheduleRow{"beta",
                beta_entries,
                "more steps at both ends (beta distribution 0.6, 0.6)",
                {.a1111 = "Beta"},
                beta_linear,
                remapped<Remap::kBeta>},
    ScheduleRow{"beta57", beta_of<5, 7>, "beta with 0.5 and 0.7: more steps at low noise"},
    ScheduleRow{"beta_1_1", beta_of<10, 10>, "beta with 1 and 1: equally spaced entries"},
    ScheduleRow{"smoothstep", smoothstep, "beta's shape by a polynomial (stable-diffusion.cpp)"},
    ScheduleRow{"bong_tangent", bong_tangent, "two arcs of the arc tangent over sigma (RES4LYF)"},
    ScheduleRow{"ddim_uniform",
                ddim_uniform,
                "equally spaced entries from the lowest up",
                {.a1111 = "DDIM"}},
    ScheduleRow{"kl_optimal",
                kl_optimal,
                "equally spaced in atan sigma",
                {.a1111 = "KL Optimal"},
                kl_optimal_to_min},
    ScheduleRow{"linear_quadratic", linear_quadratic, "linear, then quadratic in sigma"},
    ScheduleRow{"turbo", turbo, "equally spaced timesteps, rounded up", {.a1111 = "Turbo"}},
    ScheduleRow{"sd_turbo", sd_turbo,
                "timesteps 999, 899, ... of SD and SDXL Turbo, up to 10 steps"},
    ScheduleRow{"lcm", lcm, "timesteps picked of the 50 that LCM models were distilled at"},
    ScheduleRow{"align_your_steps",
                align_your_steps,
                "levels found by optimisation, resampled",
                {.a1111 = "Align Your Steps", .others = "ays;AYS SDXL"},
                forge_table<AysTable::kA1111>},
    ScheduleRow{"align_your_steps_11",
                forge_table<AysTable::kA1111>,
                "align_your_steps with Forge's numbers",
                {.a1111 = "Align Your Steps 11", .others = "ays 11"}},
    ScheduleRow{"align_your_steps_32",
                forge_table<AysTable::kForge32>,
                "the same from a table of 32 levels",
                {.a1111 = "Align Your Steps 32", .others = "ays 32"}},
    ScheduleRow{"align_your_steps_gits",
                forge_table<AysTable::kForgeGits>,
                "Forge's levels found by GITS",
                {.a1111 = "Align Your Steps GITS", .others = "ays gits"}},
    ScheduleRow{"ays_30", ays_30, "align_your_steps from a table of 30 steps"},
    ScheduleRow{"gits", gits, "levels found by GITS for each number of steps (ComfyUI)"},
    ScheduleRow{"laplace", laplace, "many steps around sigma 1; ends above 0"},
    ScheduleRow{"vp", vp, "the continuous variance-preserving process, from sigma 152"},
    ScheduleRow{"trailing", spaced<Spacing::kTrailing>, "diffusers' trailing timesteps"},
    ScheduleRow{"leading", spaced<Spacing::kLeading>, "diffusers' leading timesteps (offset 1)"},
    ScheduleRow{"linspace", spaced<Spacing::kLinspace>, "diffusers' linspace timesteps"},
};

ScheduleFunction function_of(const ScheduleRow& row, Dialect dialect) {
  if (dialect == Dialect::kA1111 && row.a1111) return row.a1111;
  if (dialect == Dialect::kDiffusers && row.diffusers) return row.diffusers;
  return row.function;
}

struct Bounds {
  std::string_view what;
  std::optional<double> value;
  double low, high;
};

/// Within what the formulas can compute; NaN is outside.
void check_bounds(const Settings& settings) {
  const VpCurve& vp = settings.vp;
  for (const auto& [what, value, low, high] : {
           Bounds{"sigma_min", settings.sigma_min, 1e-6, 1e6},
           Bounds{"sigma_max", settings.sigma_max, 1e-6, 1e6},
           Bounds{"rho", settings.rho, 0.05, 100},
           Bounds{"alpha", settings.alpha, 0.01, 100},
           Bounds{"beta", settings.beta, 0.01, 100},
           Bounds{"mu", settings.mu, -100, 100},
           Bounds{"denoise", settings.denoise, 1e-6, 1},
           Bounds{"vp's beta_d", vp.beta_d, 0, 1000},
           Bounds{"vp's beta_min", vp.beta_min, 1e-6, 1000},
           Bounds{"vp's eps_s", vp.eps_s, 1e-9, 0.999},
       }) {
    if (value && !(*value >= low && *value <= high)) {
      throw InvalidRequest("schedule: {} is {}, expected {} to {}", what, *value, low, high);
    }
  }
}

void check_settings(const Table& table, const Settings& settings) {
  check_bounds(settings);
  const SigmaRange range = range_of(table, settings);
  if (!(range.min < range.max)) {
    throw InvalidRequest("schedule: sigma from {} down to {}, expected a falling range", range.max,
                         range.min);
  }
}

}  // namespace

std::span<const ScheduleRow> schedule_rows() { return kScheduleRows; }

const ScheduleRow& find_schedule(std::string_view name) {
  const std::string known = schedule_name(name);
  for (const ScheduleRow& row : schedule_rows()) {
    if (row.name == known) return row;
  }
  refuse_schedule_name(name);
}

std::vector<double> make_sigmas(std::string_view name, const NoiseSchedule& schedule, int steps,
                                const ScheduleSettings& settings) {
  constexpr int kMaxSteps = 1000;
  const ScheduleRow& row = find_schedule(name);
  const int extra = settings.discard_penultimate ? 1 : 0;
  if (steps < 1 || steps > kMaxSteps - extra) {
    throw InvalidRequest("schedule \"{}\": {} steps, expected 1 to {}", name, steps,
                         kMaxSteps - extra);
  }
  check_settings(schedule, settings);
  auto sigmas = function_of(row, settings.dialect)(schedule, steps + extra, settings);
  if (settings.discard_penultimate && sigmas.size() > 1) sigmas.erase(sigmas.end() - 2);
  return sigmas;
}

}  // namespace fourstep
