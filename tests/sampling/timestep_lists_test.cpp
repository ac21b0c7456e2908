#include "sampling/timestep_lists.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

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

}  // namespace
}  // namespace fourstep
