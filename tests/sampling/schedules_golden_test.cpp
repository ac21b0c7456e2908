// The schedules against those of the reference programs: tests/golden/schedules_*.json.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "sampling/parameterization.h"
#include "sampling/schedule_tables.h"
#include "sampling/schedules.h"
#include "sampling/timestep_lists.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::max_relative_error;
using testing::numbers;

constexpr double kScheduleF64 = 1e-9, kScheduleF32 = 5e-6;
constexpr double kTimestep = 1e-4;  // fractional timesteps belong to float32 noise levels

const NoiseSchedule kTable = make_sdxl_noise_schedule();
const NoiseSchedule kDiffusersTable = make_diffusers_noise_schedule();

/// Cases on the 50 noise levels of latent consistency models: no model here has such a table.
bool is_of_lcm_table(const json& c) {
  return c["family"] == "forge_lcm_sampler" ||
         c.value("params", json::object()).value("sigma_table", "").starts_with("50");
}

void read_optional(const json& params, const char* name, std::optional<double>& value) {
  if (params.contains(name)) value = params[name].get<double>();
}

ScheduleSettings settings_of(const std::string& family, const json& params) {
  ScheduleSettings settings;
  settings.dialect = family.starts_with("forge") ? Dialect::kA1111 : Dialect::kComfy;
  settings.discard_penultimate = family.ends_with("discard_penultimate");
  read_optional(params, "rho", settings.rho);
  read_optional(params, "sigma_min", settings.sigma_min);
  read_optional(params, "sigma_max", settings.sigma_max);
  read_optional(params, "alpha", settings.alpha);
  read_optional(params, "beta", settings.beta);
  read_optional(params, "mu", settings.mu);
  read_optional(params, "coeff", settings.coefficient);
  settings.denoise = params.value("denoise", 1.0);
  settings.vp = {params.value("beta_d", settings.vp.beta_d),
                 params.value("beta_min", settings.vp.beta_min),
                 params.value("eps_s", settings.vp.eps_s)};
  const std::string model = params.value("model_type", params.value("model", "SDXL"));
  settings.model = model.starts_with("SD1") ? TabledModel::kSd15 : TabledModel::kSdxl;
  return settings;
}

/// The file's timesteps belong to the plain SDXL table in every family.
void check_timesteps(const json& c) {
  const auto sigmas = numbers(c["sigmas_f32"]);
  const auto nearest = numbers(c["t_nearest"]), fractional = numbers(c["t_interp"]);
  ASSERT_LE(nearest.size(), sigmas.size());
  ASSERT_EQ(nearest.size(), fractional.size());
  for (size_t i = 0; i < nearest.size(); ++i) {
    EXPECT_EQ(nearest_timestep(kTable, sigmas[i]), nearest[i]) << "sigma " << sigmas[i];
    EXPECT_NEAR(interpolated_timestep(kTable, sigmas[i]), fractional[i], kTimestep)
        << "sigma " << sigmas[i];
  }
}

/// Where the reference fails, a list that can be sampled along, or a refusal.
void check_sensible(const std::string& name, const NoiseSchedule& table, int steps,
                    const ScheduleSettings& settings) {
  try {
    const auto sigmas = make_sigmas(name, table, steps, settings);
    ASSERT_GE(sigmas.size(), 2u);
    EXPECT_EQ(sigmas.back(), 0);
    for (size_t i = 1; i < sigmas.size(); ++i) EXPECT_LT(sigmas[i], sigmas[i - 1]);
  } catch (const InvalidRequest& error) {
    EXPECT_STRNE(error.what(), "");
  }
}

void check_schedule(const json& c) {
  const std::string family = c["family"], name = c["schedule"];
  const json params = c.value("params", json::object());
  const NoiseSchedule table = params.value("zsnr", false) ? with_zero_terminal_snr(kTable) : kTable;
  const ScheduleSettings settings = settings_of(family, params);
  const int steps = c["steps"];
  if (c.contains("error") || c.contains("nan")) {
    check_sensible(name, table, steps, settings);
    return;
  }
  const auto sigmas = make_sigmas(name, table, steps, settings);
  EXPECT_LE(max_relative_error(sigmas, numbers(c["sigmas_f64"])), kScheduleF64);
  EXPECT_LE(max_relative_error(sigmas, numbers(c["sigmas_f32"])), kScheduleF32);
  check_timesteps(c);
}

std::vector<double> list_of(std::span<const double> values) {
  return {values.begin(), values.end()};
}

void check_forge_tables(const json& tables) {
  const std::map<std::string, AysTable> kinds = {{"align_your_steps", AysTable::kA1111},
                                                 {"align_your_steps_11", AysTable::kA1111},
                                                 {"align_your_steps_32", AysTable::kForge32},
                                                 {"align_your_steps_GITS", AysTable::kForgeGits}};
  for (const auto& [key, values] : tables.items()) {
    const auto model = key.ends_with("SDXL") ? TabledModel::kSdxl : TabledModel::kSd15;
    const AysTable table = kinds.at(key.substr(0, key.find(' ')));
    EXPECT_EQ(list_of(align_your_steps_table(table, model)), numbers(values)) << key;
  }
}

void check_comfy_tables(const std::string& schedule, const json& tables) {
  for (const auto& [key, values] : tables.items()) {
    if (schedule == "align_your_steps") {
      const auto model = key == "SDXL" ? TabledModel::kSdxl : TabledModel::kSd15;
      EXPECT_EQ(list_of(align_your_steps_table(AysTable::kComfy, model)), numbers(values)) << key;
      continue;
    }
    for (const auto& list : values) {
      const int steps = static_cast<int>(list.size()) - 1;
      EXPECT_EQ(gits_table_sigmas(std::stod(key), steps), numbers(list)) << key << ", " << steps;
    }
  }
}

void check_tables(const json& c) {
  const std::string schedule = c["schedule"];
  if (schedule == "align your steps family") {
    check_forge_tables(c["tables"]);
  } else {
    check_comfy_tables(schedule, c["tables"]);
  }
}

void check_file(const std::string& file_name) {
  const auto golden = testing::load_golden(file_name);
  if (!golden) GTEST_SKIP() << file_name << " is not there";
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c.dump().substr(0, 160));
    if (is_of_lcm_table(c)) {
      ++skipped;
      continue;
    }
    c["family"] == "tables" ? check_tables(c) : check_schedule(c);
    ++checked;
  }
  testing::report_golden(file_name, checked, skipped);
}

TEST(GoldenSchedules, EqualComfyUi) { check_file("schedules_comfyui.json"); }

TEST(GoldenSchedules, EqualForge) { check_file("schedules_forge.json"); }

SolverKind solver_of(const std::string& scheduler) {
  if (scheduler.starts_with("DDIM")) return SolverKind::kDdim;
  return scheduler.find("Multistep") == std::string::npos ? SolverKind::kEuler
                                                          : SolverKind::kMultistep;
}

Spacing spacing_of(const std::string& name) {
  if (name == "trailing") return Spacing::kTrailing;
  return name == "leading" ? Spacing::kLeading : Spacing::kLinspace;
}

Remap remap_of(const json& c) {
  if (c.value("use_karras_sigmas", false)) return Remap::kKarras;
  if (c.value("use_exponential_sigmas", false)) return Remap::kExponential;
  return c.value("use_beta_sigmas", false) ? Remap::kBeta : Remap::kNone;
}

/// The same list by its name, as a program would ask for it.
std::vector<double> sigmas_by_name(const json& c, const DiffusersList& list) {
  const std::map<Remap, std::string> names = {{Remap::kNone, c["timestep_spacing"]},
                                              {Remap::kKarras, "karras"},
                                              {Remap::kExponential, "exponential"},
                                              {Remap::kBeta, "beta"}};
  ScheduleSettings settings;
  settings.dialect = Dialect::kDiffusers;
  settings.solver = list.solver;
  settings.spacing = list.spacing;
  return make_sigmas(names.at(list.remap), kDiffusersTable, c["steps"], settings);
}

std::vector<double> told_timesteps(const DiffusersList& list, const std::vector<double>& sigmas,
                                   int steps) {
  if (list.remap == Remap::kNone) return diffusers_timesteps(list.solver, list.spacing, steps);
  std::vector<double> timesteps;
  for (const double sigma : sigmas) {
    if (sigma == 0) continue;
    timesteps.push_back(diffusers_told_timestep(kDiffusersTable, sigma, list.solver, list.remap));
  }
  return timesteps;
}

void check_spaced(const json& c) {
  const DiffusersList list{solver_of(c["scheduler"]), spacing_of(c["timestep_spacing"]),
                           remap_of(c)};
  const auto sigmas = sigmas_by_name(c, list);
  const auto timesteps = told_timesteps(list, sigmas, c["steps"]);
  const double tolerance = list.solver == SolverKind::kEuler ? kTimestep : 0;
  EXPECT_LE(max_absolute_error(timesteps, numbers(c["timesteps"])), tolerance);
  if (c.contains("sigmas_f32")) {
    EXPECT_LE(max_relative_error(sigmas, numbers(c["sigmas_f32"])), kScheduleF32);
  }
}

void check_boundary_scalings(const json& list) {
  for (const auto& expected : list) {
    const auto [c_skip, c_out] = lcm_boundary_scaling(expected["t"].get<double>());
    EXPECT_NEAR(c_skip, expected["c_skip"].get<double>(), kScheduleF64 * c_skip);
    EXPECT_NEAR(c_out, expected["c_out"].get<double>(), kScheduleF64);
  }
}

void check_lcm(const json& c) {
  constexpr int kEveryTimestep = 1000;
  const double strength = c.value("strength", 1.0);
  if (c.contains("boundary_scalings")) {
    check_boundary_scalings(c["boundary_scalings"]);
  } else if (c.contains("custom_timesteps")) {
    EXPECT_EQ(last_timesteps(numbers(c["custom_timesteps"]), strength), numbers(c["timesteps"]));
  } else {
    const int original = c.contains("original_inference_steps_argument")
                             ? kEveryTimestep
                             : c.value("original_inference_steps", 50);
    if (c.contains("error")) {
      EXPECT_THROW(timesteps_lcm(c["steps"], original, strength), InvalidRequest);
    } else {
      EXPECT_EQ(timesteps_lcm(c["steps"], original, strength), numbers(c["timesteps"]));
    }
  }
}

TEST(GoldenSchedules, EqualDiffusers) {
  const auto golden = testing::load_golden("schedules_diffusers.json");
  if (!golden) GTEST_SKIP() << "schedules_diffusers.json is not there";
  size_t checked = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c.dump().substr(0, 160));
    c.contains("timestep_spacing") ? check_spaced(c) : check_lcm(c);
    ++checked;
  }
  testing::report_golden("schedules_diffusers.json", checked, 0);
}

/// stable-diffusion.cpp computes in fp32 and accumulates its table in it; bong_tangent subtracts
/// numbers of size 15.
double tolerance_of(const std::string& source) {
  return source == "stable-diffusion.cpp" ? 1e-4 : 1e-9;
}

TEST(GoldenSchedules, EqualOtherPrograms) {
  const auto golden = testing::load_golden("schedules_others.json");
  if (!golden) GTEST_SKIP();
  const NoiseSchedule& table = kTable;
  for (const auto& c : (*golden)["cases"]) {
    const std::string name = c["schedule"], source = c["source"];
    const int steps = c["steps"];
    const auto sigmas = make_sigmas(name, table, steps);
    EXPECT_LE(max_relative_error(sigmas, numbers(c["sigmas"])), tolerance_of(source))
        << name << " of " << source << ", " << steps;
  }
  testing::report_golden("schedules_others.json", (*golden)["cases"].size(), 0);
}

TEST(GoldenSchedules, Beta57IsComfyUisBetaWithTheseShapes) {
  const auto golden = testing::load_golden("schedules_comfyui.json");
  if (!golden) GTEST_SKIP();
  const NoiseSchedule& table = kTable;
  const json shapes = {{"alpha", 0.5}, {"beta", 0.7}};
  size_t checked = 0;
  for (const auto& c : (*golden)["cases"]) {
    if (c["schedule"] != "beta" || c.value("params", json()) != shapes) continue;
    const auto sigmas = make_sigmas("beta57", table, c["steps"]);
    EXPECT_LE(max_relative_error(sigmas, numbers(c["sigmas_f64"])), 1e-9);
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "no case of these shapes";
}

}  // namespace
}  // namespace fourstep
