#include "sampling/schedules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"

namespace fourstep {
namespace {

const NoiseSchedule kSdxlTable = make_sdxl_noise_schedule();

TEST(Schedules, Dmd2IsItsFourTimestepsAndStaysExact) {
  EXPECT_EQ(make_sigmas("dmd2", kSdxlTable, 4),
            (std::vector<double>{kSdxlTable.sigmas[999], kSdxlTable.sigmas[749],
                                 kSdxlTable.sigmas[499], kSdxlTable.sigmas[249], 0}));
}

TEST(Schedules, Dmd2WithOneStepStartsAt399) {
  EXPECT_EQ(make_sigmas("dmd2", kSdxlTable, 1), (std::vector<double>{kSdxlTable.sigmas[399], 0}));
}

TEST(Schedules, Dmd2WithOtherStepCountsIsSimple) {
  for (const int steps : {2, 3, 4, 5, 6, 8, 20, 38, 1000}) {
    EXPECT_EQ(make_sigmas("dmd2", kSdxlTable, steps), make_sigmas("simple", kSdxlTable, steps))
        << steps;
  }
}

/// Finite, falling, at least one step; ends in 0 but for the lists that end at sigma_min.
void expect_falling(const std::vector<double>& sigmas, bool ends_at_zero) {
  ASSERT_FALSE(sigmas.empty());
  EXPECT_EQ(sigmas.back() == 0, ends_at_zero);
  for (size_t i = 0; i < sigmas.size(); ++i) {
    ASSERT_TRUE(std::isfinite(sigmas[i]) && sigmas[i] >= 0);
    if (i > 0) {
      ASSERT_LT(sigmas[i], sigmas[i - 1]);
    }
  }
}

TEST(Schedules, AllFallForEveryStepCountAndDialect) {
  for (const auto& row : schedule_rows()) {
    for (const auto& [dialect_name, dialect] : dialect_rows()) {
      for (const int steps : {1, 2, 3, 7, 20, 50, 150, 1000}) {
        if (row.name == "sd_turbo" && steps > 10) continue;
        if (row.name == "lcm" && steps > 50) continue;
        SCOPED_TRACE(::testing::Message() << row.name << " of " << dialect_name << ", " << steps);
        const bool ends_above_zero =
            row.name == "laplace" || (row.name == "kl_optimal" && dialect == Dialect::kA1111);
        expect_falling(make_sigmas(row.name, kSdxlTable, steps, {.dialect = dialect}),
                       !ends_above_zero);
      }
    }
  }
}

TEST(Schedules, OneNameCanMeanDifferentLists) {
  const auto first_of = [](std::string_view name, Dialect dialect) {
    return make_sigmas(name, kSdxlTable, 4, {.dialect = dialect})[1];
  };
  for (const std::string_view name : {"beta", "kl_optimal", "align_your_steps"}) {
    EXPECT_NE(first_of(name, Dialect::kA1111), first_of(name, Dialect::kComfy)) << name;
  }
  for (const auto& row : schedule_rows()) {
    EXPECT_EQ(first_of(row.name, Dialect::kFourstep), first_of(row.name, Dialect::kComfy))
        << row.name;
  }
}

TEST(Schedules, DiscardingThePenultimateKeepsTheNumberOfSteps) {
  const auto kept = make_sigmas("karras", kSdxlTable, 4, {.discard_penultimate = true});
  const auto longer = make_sigmas("karras", kSdxlTable, 5);
  EXPECT_EQ(kept, (std::vector<double>{longer[0], longer[1], longer[2], longer[3], 0}));
}

TEST(Schedules, TheRangeMovesBothEnds) {
  for (const std::string_view name :
       {"karras", "exponential", "polyexponential", "kl_optimal", "normal"}) {
    const auto sigmas = make_sigmas(name, kSdxlTable, 5, {.sigma_min = 0.1, .sigma_max = 10.0});
    EXPECT_NEAR(sigmas.front(), 10, 1e-9) << name;
    EXPECT_NEAR(sigmas[4], 0.1, 1e-9) << name;
  }
}

TEST(Schedules, DenoiseKeepsTheEndOfComfyUisNodes) {
  for (const std::string_view name : {"align_your_steps", "gits"}) {
    const auto whole = make_sigmas(name, kSdxlTable, 10),
               half = make_sigmas(name, kSdxlTable, 10, {.denoise = 0.5});
    EXPECT_EQ(half, std::vector<double>(whole.end() - 6, whole.end())) << name;
  }
  EXPECT_EQ(make_sigmas("sd_turbo", kSdxlTable, 2, {.denoise = 0.5}),
            (std::vector<double>{kSdxlTable.sigmas[499], kSdxlTable.sigmas[399], 0}));
}

TEST(Schedules, RefusesSettingsThatNoListHas) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (const ScheduleSettings& settings :
       {ScheduleSettings{.sigma_min = 5.0, .sigma_max = 2.0}, ScheduleSettings{.sigma_min = 20.0},
        ScheduleSettings{.sigma_max = inf}, ScheduleSettings{.rho = 0.0},
        ScheduleSettings{.rho = nan}, ScheduleSettings{.alpha = -1.0},
        ScheduleSettings{.beta = 1e9}, ScheduleSettings{.denoise = 0},
        ScheduleSettings{.vp = {.eps_s = 2}}}) {
    EXPECT_THROW(make_sigmas("karras", kSdxlTable, 4, settings), InvalidRequest);
  }
  EXPECT_THROW(make_sigmas("sd_turbo", kSdxlTable, 11), InvalidRequest);
  EXPECT_THROW(make_sigmas("lcm", kSdxlTable, 51), InvalidRequest);
}

TEST(Schedules, StayFiniteAtTheEdgesOfTheSettings) {
  for (const std::string_view name : {"karras", "polyexponential", "beta", "laplace"}) {
    for (const double low : {0.05, 100.0}) {
      const ScheduleSettings settings{
          .sigma_min = 1e-6, .sigma_max = 1e6, .rho = low, .alpha = low, .beta = low};
      for (const double sigma : make_sigmas(name, kSdxlTable, 30, settings)) {
        EXPECT_TRUE(std::isfinite(sigma)) << name;
      }
    }
  }
}

TEST(Schedules, AnUnknownCoefficientNamesTheOnesThereAre) {
  try {
    make_sigmas("gits", kSdxlTable, 4, {.coefficient = 0.77});
    FAIL() << "no error";
  } catch (const InvalidRequest& error) {
    EXPECT_NE(std::string(error.what()).find("0.80, 0.85"), std::string::npos) << error.what();
  }
}

TEST(Schedules, EverySpellingWorks) {
  EXPECT_EQ(make_sigmas("SGM Uniform", kSdxlTable, 4), make_sigmas("sgm_uniform", kSdxlTable, 4));
  EXPECT_EQ(make_sigmas("align_your_steps_GITS", kSdxlTable, 4),
            make_sigmas("AYS GITS", kSdxlTable, 4));
  EXPECT_EQ(make_sigmas("Automatic", kSdxlTable, 4), make_sigmas("uniform", kSdxlTable, 4));
}

TEST(Schedules, AnUnknownNameBringsTheNearestOnes) {
  try {
    make_sigmas("karas", kSdxlTable, 4);
    FAIL() << "no error";
  } catch (const InvalidRequest& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("\"karas\""), std::string::npos) << message;
    EXPECT_NE(message.find("did you mean karras, "), std::string::npos) << message;
  }
}

TEST(Schedules, RefusesStepsOutOfBounds) {
  for (const int steps :
       {std::numeric_limits<int>::min(), -1, 0, 1001, std::numeric_limits<int>::max()}) {
    EXPECT_THROW(make_sigmas("simple", kSdxlTable, steps), InvalidRequest) << steps;
  }
}

}  // namespace
}  // namespace fourstep
