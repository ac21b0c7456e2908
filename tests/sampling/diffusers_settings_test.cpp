#include "sampling/diffusers_settings.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "sampling/names.h"
#include "support/files.h"

namespace fourstep {
namespace {

using Pair = SamplerAndSchedule;

TEST(DiffusersSettings, ChangeTheSamplerOrFixTheSchedule) {
  const auto split = split_sampler_name;
  const std::string multistep = "DPMSolverMultistepScheduler";
  EXPECT_EQ(split(multistep + "(use_karras_sigmas=True)"), (Pair{"dpmpp_2m", "karras"}));
  EXPECT_EQ(split(multistep + " use_karras_sigmas"), (Pair{"dpmpp_2m", "karras"}));
  EXPECT_EQ(split(multistep + " use_karras_sigmas=False"), (Pair{"dpmpp_2m", ""}));
  EXPECT_EQ(split(multistep + "(solver_type='heun', algorithm_type='sde-dpmsolver++')"),
            (Pair{"dpmpp_2m_sde_heun", ""}));
  EXPECT_EQ(split(multistep + " algorithm_type = sde-dpmsolver++, use_exponential_sigmas: true"),
            (Pair{"dpmpp_2m_sde", "exponential"}));
  EXPECT_EQ(split("Euler Discrete timestep_spacing=trailing"), (Pair{"euler", "trailing"}));
  EXPECT_EQ(split("UniPCMultistepScheduler solver_type=bh1"), (Pair{"uni_pc", ""}));
  EXPECT_EQ(split("LMSDiscreteScheduler use_beta_sigmas=true"), (Pair{"lms", "beta"}));
}

TEST(DiffusersSettings, WhatIsNotHereIsRefusedByName) {
  for (const char* text : {"DPMSolverMultistepScheduler solver_order=3",
                           "DPMSolverMultistepScheduler(use_lu_lambdas=True)",
                           "DPMSolverMultistepScheduler final_sigmas_type=sigma_min",
                           "DPMSolverMultistepScheduler solver_type=heun",
                           "EulerDiscreteScheduler interpolation_type=log_linear"}) {
    EXPECT_THAT(testing::message_of<InvalidRequest>([&] { split_sampler_name(text); }),
                ::testing::HasSubstr("is not supported here"))
        << text;
  }
  EXPECT_THROW(split_sampler_name("EulerDiscreteScheduler use_karras_sigmas=True "
                                  "use_beta_sigmas=True"),
               InvalidRequest);
}

TEST(DiffusersSettings, OtherTextsAreAClassNameAlone) {
  for (const char* text : {"", "Euler a", "DPM++ 2M Karras", "a, (b)"}) {
    const DiffusersSettings taken = take_diffusers_settings(text);
    EXPECT_TRUE(taken.settings.empty()) << text;
    EXPECT_EQ(taken.class_name, text);
  }
}

}  // namespace
}  // namespace fourstep
