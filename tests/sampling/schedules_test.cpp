#include "sampling/schedules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::max_relative_error;
using testing::numbers;

const NoiseSchedule kSdxl = make_sdxl_noise_schedule();

bool is_known(const std::string& name) {
  for (const auto& row : schedule_rows()) {
    if (row.name == name) return true;
  }
  return false;
}

/// The families whose cases run on the model's own or another table of noise levels, by name alone.
std::optional<NoiseSchedule> table_of(const std::string& family) {
  if (family == "comfyui" || family == "forge") return kSdxl;
  if (family == "comfyui_lcm_table") return with_distilled_steps(kSdxl);
  if (family == "comfyui_zsnr") return with_zero_terminal_snr(kSdxl);
  return std::nullopt;
}

/// Our name of a reference's schedule; empty where the reference means something else by the name.
std::string our_name(const std::string& family, const std::string& name) {
  const std::map<std::string, std::string> forge = {
      {"uniform", "normal"}, {"ddim", "ddim_uniform"}, {"beta", ""}, {"kl_optimal", ""}};
  const auto found = forge.find(name);
  return family == "forge" && found != forge.end() ? found->second : name;
}

/// What this engine makes of a case; nothing when the case belongs to a later feature.
std::optional<std::vector<double>> sigmas_of(const json& c) {
  const std::string family = c["family"], name = our_name(family, c["schedule"]);
  if (c.contains("error") || !c.contains("sigmas_f64")) return std::nullopt;
  if (family == "comfyui_node" && name == "karras") {
    const json& p = c["params"];
    return karras_sigmas(c["steps"], {p["sigma_min"], p["sigma_max"]}, p["rho"]);
  }
  if (family == "comfyui_node" && name == "polyexponential") {
    const json& p = c["params"];
    return polyexponential_sigmas(c["steps"], {p["sigma_min"], p["sigma_max"]}, p["rho"]);
  }
  if (!table_of(family) || !is_known(name)) return std::nullopt;
  return make_sigmas(name, *table_of(family), c["steps"]);
}

/// The file's timesteps belong to the plain SDXL table in every family.
void check_timesteps(const json& c) {
  const auto sigmas = numbers(c["sigmas_f32"]);
  const auto nearest = numbers(c["t_nearest"]), fractional = numbers(c["t_interp"]);
  for (size_t i = 0; i < nearest.size(); ++i) {
    EXPECT_EQ(nearest_timestep(kSdxl, sigmas[i]), nearest[i]) << "sigma " << sigmas[i];
    EXPECT_NEAR(interpolated_timestep(kSdxl, sigmas[i]), fractional[i], 1e-4)
        << "sigma " << sigmas[i];
  }
}

void check_file(const std::string& file_name) {
  const auto golden = testing::load_golden(file_name);
  if (!golden) GTEST_SKIP() << file_name << " is not there";
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c.dump().substr(0, 160));
    const auto sigmas = sigmas_of(c);
    if (!sigmas) {
      ++skipped;
      continue;
    }
    EXPECT_LE(max_relative_error(*sigmas, numbers(c["sigmas_f64"])), 1e-9);
    EXPECT_LE(max_relative_error(*sigmas, numbers(c["sigmas_f32"])), 2e-6);
    check_timesteps(c);
    ++checked;
  }
  testing::report_golden(file_name, checked, skipped);
  EXPECT_GT(checked, 0u);
}

TEST(GoldenSchedules, EqualComfyUi) { check_file("schedules_comfyui.json"); }

TEST(GoldenSchedules, EqualForge) { check_file("schedules_forge.json"); }

TEST(Schedules, Dmd2IsItsFourTimestepsAndStaysExact) {
  EXPECT_EQ(make_sigmas("dmd2", kSdxl, 4),
            (std::vector<double>{kSdxl.sigmas[999], kSdxl.sigmas[749], kSdxl.sigmas[499],
                                 kSdxl.sigmas[249], 0}));
}

TEST(Schedules, Dmd2WithOneStepStartsAt399) {
  EXPECT_EQ(make_sigmas("dmd2", kSdxl, 1), (std::vector<double>{kSdxl.sigmas[399], 0}));
}

TEST(Schedules, Dmd2WithOtherStepCountsIsSimple) {
  for (const int steps : {2, 3, 4, 5, 6, 8, 20, 38, 1000}) {
    EXPECT_EQ(make_sigmas("dmd2", kSdxl, steps), make_sigmas("simple", kSdxl, steps)) << steps;
  }
}

TEST(Schedules, AllFallToZeroForEveryStepCount) {
  for (const auto& row : schedule_rows()) {
    for (const int steps : {1, 2, 3, 7, 20, 150, 1000}) {
      const auto sigmas = make_sigmas(row.name, kSdxl, steps);
      ASSERT_GE(sigmas.size(), 2u) << row.name;
      EXPECT_EQ(sigmas.back(), 0) << row.name;
      for (size_t i = 1; i < sigmas.size(); ++i) {
        ASSERT_LT(sigmas[i], sigmas[i - 1]) << row.name << " with " << steps << " steps";
      }
    }
  }
}

TEST(Schedules, AnUnknownNameListsTheKnownOnes) {
  try {
    make_sigmas("karas", kSdxl, 4);
    FAIL() << "no error";
  } catch (const InvalidRequest& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("\"karas\""), std::string::npos);
    for (const auto& row : schedule_rows()) {
      EXPECT_NE(message.find(row.name), std::string::npos) << row.name;
    }
  }
}

TEST(Schedules, RefusesStepsOutOfBounds) {
  for (const int steps : {-1, 0, 1001}) {
    EXPECT_THROW(make_sigmas("simple", kSdxl, steps), InvalidRequest) << steps;
  }
}

TEST(SigmasFromTimesteps, TakesTheTablesNumbersAndAppendsZero) {
  const std::vector<double> timesteps = {999, 759, 499, 259};
  EXPECT_EQ(sigmas_from_timesteps(kSdxl, timesteps),
            (std::vector<double>{kSdxl.sigmas[999], kSdxl.sigmas[759], kSdxl.sigmas[499],
                                 kSdxl.sigmas[259], 0}));
}

TEST(SigmasFromTimesteps, RefusesListsThatDoNotFallWithinTheTable) {
  using List = std::vector<double>;
  for (const List& list :
       {List{1000, 5}, List{5, -1}, List{5, 5}, List{5, 7}, List{std::nan("")}}) {
    EXPECT_THROW(sigmas_from_timesteps(kSdxl, list), InvalidRequest);
  }
}

}  // namespace
}  // namespace fourstep
