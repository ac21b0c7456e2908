// Schedules of programs beside the three: tests/golden/schedules_others.json.

#include <gtest/gtest.h>

#include <string>

#include "sampling/schedules.h"
#include "support/golden.h"

namespace fourstep {
namespace {

/// stable-diffusion.cpp computes in fp32 and accumulates its table in it; bong_tangent subtracts numbers of size 15.
double tolerance_of(const std::string& source) {
  return source == "stable-diffusion.cpp" ? 1e-4 : 1e-9;
}

TEST(GoldenSchedules, EqualOtherPrograms) {
  const auto golden = testing::load_golden("schedules_others.json");
  if (!golden) GTEST_SKIP();
  const NoiseSchedule table = make_sdxl_noise_schedule();
  for (const auto& c : (*golden)["cases"]) {
    const std::string name = c["schedule"], source = c["source"];
    const int steps = c["steps"];
    const auto sigmas = make_sigmas(name, table, steps);
    EXPECT_LE(testing::max_relative_error(sigmas, testing::numbers(c["sigmas"])),
              tolerance_of(source))
        << name << " of " << source << ", " << steps;
  }
  testing::report_golden("schedules_others.json", (*golden)["cases"].size(), 0);
}

TEST(GoldenSchedules, Beta57IsComfyUisBetaWithTheseShapes) {
  const auto golden = testing::load_golden("schedules_comfyui.json");
  if (!golden) GTEST_SKIP();
  const NoiseSchedule table = make_sdxl_noise_schedule();
  const nlohmann::json shapes = {{"alpha", 0.5}, {"beta", 0.7}};
  size_t checked = 0;
  for (const auto& c : (*golden)["cases"]) {
    if (c["schedule"] != "beta" || c.value("params", nlohmann::json()) != shapes) continue;
    const auto sigmas = make_sigmas("beta57", table, c["steps"]);
    EXPECT_LE(testing::max_relative_error(sigmas, testing::numbers(c["sigmas_f64"])), 1e-9);
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "no case of these shapes";
}

}  // namespace
}  // namespace fourstep
