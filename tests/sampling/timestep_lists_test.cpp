#include "sampling/timestep_lists.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/error.h"
#include "sampling/schedules.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::max_relative_error;
using testing::numbers;

constexpr double kFloat32Timesteps = 1e-4;  // fractional timesteps are stored as float32
constexpr double kFloat32Table = 3e-5;      // diffusers builds its table of alpha_bar in float32

std::vector<double> timesteps_of_spacing(const std::string& spacing, int steps) {
  if (spacing == "trailing") return timesteps_trailing(steps);
  if (spacing == "leading") return timesteps_leading(steps);
  return timesteps_linspace(steps);
}

void check_euler(const json& c) {
  const std::string spacing = c["timestep_spacing"];
  EXPECT_LE(max_absolute_error(timesteps_of_spacing(spacing, c["steps"]), numbers(c["timesteps"])),
            kFloat32Timesteps);
  // The schedule of a spacing has the spacing's name.
  const auto sigmas = make_sigmas(spacing, make_sdxl_noise_schedule(), c["steps"]);
  EXPECT_LE(max_relative_error(sigmas, numbers(c["sigmas_f32"])), kFloat32Table);
}

void check_ddim(const json& c) {
  auto timesteps = timesteps_of_spacing(c["timestep_spacing"], c["steps"]);
  for (double& timestep : timesteps) timestep = std::nearbyint(timestep);
  EXPECT_EQ(timesteps, numbers(c["timesteps"]));
}

void check_lcm(const json& c) {
  const int original = c.value("original_inference_steps", 50);
  const double strength = c.value("strength", 1.0);
  if (c.contains("error")) {
    EXPECT_THROW(timesteps_lcm(c["steps"], original, strength), InvalidRequest);
  } else {
    EXPECT_EQ(timesteps_lcm(c["steps"], original, strength), numbers(c["timesteps"]));
  }
}

/// Runs the case when the lists cover it: not the Karras remapping, the multistep solvers' own lists, lists
/// given by the caller, and TCD with an explicit original step count.
bool check_case(const json& c) {
  const std::string scheduler = c["scheduler"];
  if (scheduler.starts_with("Euler") && !c.value("use_karras_sigmas", false)) {
    check_euler(c);
  } else if (scheduler == "DDIMScheduler") {
    check_ddim(c);
  } else if ((scheduler == "LCMScheduler" || scheduler == "TCDScheduler") && c.contains("steps") &&
             !c.contains("original_inference_steps_argument")) {
    check_lcm(c);
  } else {
    return false;
  }
  return true;
}

TEST(GoldenTimestepLists, EqualDiffusers) {
  const auto golden = testing::load_golden("schedules_diffusers.json");
  if (!golden) GTEST_SKIP() << "schedules_diffusers.json is not there";
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c.dump().substr(0, 160));
    (check_case(c) ? checked : skipped) += 1;
  }
  testing::report_golden("schedules_diffusers.json", checked, skipped);
  EXPECT_GT(checked, 0u);
}

TEST(TimestepLists, TrailingWithFourStepsIsDmd2) {
  EXPECT_EQ(timesteps_trailing(4), (std::vector<double>{999, 749, 499, 249}));
  EXPECT_EQ(timesteps_lcm(4, /*original_steps=*/4), timesteps_trailing(4));
}

TEST(TimestepLists, LeadingNeverLeavesTheTable) {
  EXPECT_EQ(timesteps_leading(1000).front(), 999);
  EXPECT_EQ(timesteps_leading(1000).back(), 1);
}

}  // namespace
}  // namespace fourstep
