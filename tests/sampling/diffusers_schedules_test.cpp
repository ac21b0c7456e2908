#include "sampling/diffusers_schedules.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

const NoiseSchedule kTable = make_diffusers_noise_schedule();

TEST(DiffusersSchedules, RemappingKeepsTheRangeOfTheSpacing) {
  const DiffusersList plain{SolverKind::kEuler, Spacing::kLeading};
  const auto spaced = diffusers_sigmas(kTable, plain, 6);
  for (const Remap remap : {Remap::kKarras, Remap::kExponential, Remap::kBeta}) {
    DiffusersList list = plain;
    list.remap = remap;
    const auto sigmas = diffusers_sigmas(kTable, list, 6);
    ASSERT_EQ(sigmas.size(), 7u);
    EXPECT_NEAR(sigmas.front(), spaced.front(), 1e-9);
    EXPECT_NEAR(sigmas[5], spaced[5], 1e-9);
    list.solver = SolverKind::kMultistep;
    EXPECT_NEAR(diffusers_sigmas(kTable, list, 6).front(), kTable.sigma_max(), 1e-9);
  }
}

}  // namespace
}  // namespace fourstep
