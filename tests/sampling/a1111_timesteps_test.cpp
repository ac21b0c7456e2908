#include "sampling/a1111_timesteps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

TEST(GoldenA1111Timesteps, ListsEqualForge) {
  const auto golden = testing::load_golden("samplers_forge.json");
  if (!golden) GTEST_SKIP() << "samplers_forge.json is not there";
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    if (!c.contains("lists")) {
      ++skipped;
      continue;
    }
    for (const auto& [steps, list] : c["lists"].items()) {
      auto expected = testing::numbers(list);
      std::reverse(expected.begin(), expected.end());
      EXPECT_EQ(timesteps_a1111(std::stoi(steps)), expected) << steps;
    }
    ++checked;
  }
  testing::report_golden("samplers_forge.json (lists)", checked, skipped);
}

TEST(A1111Timesteps, LevelsAreThoseOfTheTimesteps) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  EXPECT_EQ(schedule_a1111_ddim(sdxl, 4), (std::vector<double>{sdxl.sigmas[751], sdxl.sigmas[501],
                                                               sdxl.sigmas[251], sdxl.sigmas[1]}));
  const auto unipc = schedule_a1111_unipc(sdxl, 4);
  ASSERT_EQ(unipc.size(), 5u);
  EXPECT_NEAR(unipc.front(), sdxl.sigma_max(), 1e-12);
  EXPECT_NEAR(unipc.back(), sdxl.sigma_min(), 1e-12);
}

TEST(A1111Timesteps, ImpossibleNumbersAreRefused) {
  EXPECT_THROW(timesteps_a1111(0), InvalidRequest);
  EXPECT_THROW(schedule_a1111_unipc(make_sdxl_noise_schedule(), 1001), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
