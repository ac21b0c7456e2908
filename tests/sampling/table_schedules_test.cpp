#include "sampling/table_schedules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"

namespace fourstep {
namespace {

const NoiseSchedule kModelTable = make_sdxl_noise_schedule();

TEST(SigmasFromTimesteps, TakesTheTablesNumbersAndAppendsZero) {
  const std::vector<double> timesteps = {999, 759, 499, 259};
  EXPECT_EQ(sigmas_from_timesteps(kModelTable, timesteps),
            (std::vector<double>{kModelTable.sigmas[999], kModelTable.sigmas[759],
                                 kModelTable.sigmas[499], kModelTable.sigmas[259], 0}));
}

TEST(SigmasFromTimesteps, RefusesListsThatDoNotFallWithinTheTable) {
  using List = std::vector<double>;
  for (const List& list :
       {List{1000, 5}, List{5, -1}, List{5, 5}, List{5, 7}, List{std::nan("")}}) {
    EXPECT_THROW(sigmas_from_timesteps(kModelTable, list), InvalidRequest);
  }
}

}  // namespace
}  // namespace fourstep
