#include "sampling/timestep_lists.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {

namespace {

using List = std::vector<double>;

TEST(TimestepLists, TrailingWithFourStepsIsDmd2) {
  EXPECT_EQ(timesteps_trailing(4), (List{999, 749, 499, 249}));
  EXPECT_EQ(timesteps_lcm(4, /*original_steps=*/4), timesteps_trailing(4));
}

TEST(TimestepLists, LeadingNeverLeavesTheTable) {
  EXPECT_EQ(timesteps_leading(1000).front(), 999);
  EXPECT_EQ(timesteps_leading(1000).back(), 1);
}

TEST(TimestepLists, MultistepLeavesOutTheLowest) {
  EXPECT_EQ(diffusers_timesteps(SolverKind::kMultistep, Spacing::kLeading, 4),
            (List{801, 601, 401, 201}));
  EXPECT_EQ(diffusers_timesteps(SolverKind::kMultistep, Spacing::kLinspace, 3),
            (List{999, 666, 333}));
}

TEST(TimestepLists, FallWithinTheTableForEveryKindAndStepCount) {
  for (const auto solver : {SolverKind::kEuler, SolverKind::kDdim, SolverKind::kMultistep}) {
    for (const auto spacing : {Spacing::kLeading, Spacing::kTrailing, Spacing::kLinspace}) {
      for (const int steps : {1, 2, 7, 333, 999, 1000}) {
        const auto timesteps = diffusers_timesteps(solver, spacing, steps);
        ASSERT_FALSE(timesteps.empty());
        EXPECT_LE(timesteps.front(), 999);
        EXPECT_GE(timesteps.back(), 0);
        for (size_t i = 1; i < timesteps.size(); ++i) ASSERT_LT(timesteps[i], timesteps[i - 1]);
      }
    }
  }
}

TEST(TimestepLists, LcmRefusesGridsThatDoNotExist) {
  EXPECT_THROW(timesteps_lcm(1, 0), InvalidRequest);
  EXPECT_THROW(timesteps_lcm(1, 1001), InvalidRequest);
  EXPECT_THROW(timesteps_lcm(4, 50, 0.01), InvalidRequest);
}

TEST(TimestepLists, ACustomListKeepsItsLastShare) {
  EXPECT_EQ(last_timesteps(List{999, 749, 499, 249}, 0.75), (List{749, 499, 249}));
  EXPECT_EQ(last_timesteps(List{399}, 0.5), List{});
  EXPECT_EQ(last_timesteps(List{399}, 7), List{399});
  EXPECT_THROW(last_timesteps(List{399}, -1), InvalidRequest);
}

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

const NoiseSchedule kRoundedTable = make_diffusers_noise_schedule();

TEST(DiffusersSchedules, RemappingKeepsTheRangeOfTheSpacing) {
  const DiffusersList plain{SolverKind::kEuler, Spacing::kLeading};
  const auto spaced = diffusers_sigmas(kRoundedTable, plain, 6);
  for (const Remap remap : {Remap::kKarras, Remap::kExponential, Remap::kBeta}) {
    DiffusersList list = plain;
    list.remap = remap;
    const auto sigmas = diffusers_sigmas(kRoundedTable, list, 6);
    ASSERT_EQ(sigmas.size(), 7u);
    EXPECT_NEAR(sigmas.front(), spaced.front(), 1e-9);
    EXPECT_NEAR(sigmas[5], spaced[5], 1e-9);
    list.solver = SolverKind::kMultistep;
    EXPECT_NEAR(diffusers_sigmas(kRoundedTable, list, 6).front(), kRoundedTable.sigma_max(), 1e-9);
  }
}

}  // namespace

}  // namespace fourstep
