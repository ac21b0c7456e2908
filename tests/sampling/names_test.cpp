#include "sampling/names.h"

#include <gmock/gmock.h>

#include <string>

#include "base/error.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "support/files.h"

namespace fourstep {
namespace {

TEST(Names, KnownNamesStayThemselves) {
  for (const auto& row : sampler_rows()) EXPECT_EQ(sampler_name(row.name), row.name);
  for (const auto& row : schedule_rows()) EXPECT_EQ(schedule_name(row.name), row.name);
}

TEST(Names, AliasesLeadToKnownNames) {
  for (const auto& [alias, name] : sampler_aliases()) {
    EXPECT_EQ(sampler_name(alias), name);
    EXPECT_EQ(sampler_name(name), name) << alias;
  }
  for (const auto& [alias, name] : schedule_aliases()) {
    EXPECT_EQ(schedule_name(alias), schedule_name(name)) << alias;
    EXPECT_NE(schedule_name(alias), alias);
  }
}

TEST(Names, CaseBlanksAndDashesNeverMatter) {
  EXPECT_EQ(sampler_name("DPM++ 2M SDE Heun"), "dpmpp_2m_sde_heun");
  EXPECT_EQ(sampler_name("UniPC"), "uni_pc");
  EXPECT_EQ(sampler_name("Euler CFG++"), "euler_cfg_pp");
  EXPECT_EQ(sampler_name("k_dpm_2_a"), "dpm_2_ancestral");
  EXPECT_EQ(schedule_name("KL Optimal"), "kl_optimal");
  EXPECT_EQ(schedule_name("Align Your Steps GITS"), "align_your_steps_gits");
}

TEST(Names, UnknownNamesComeBackAsTheyAre) {
  for (const std::string& name : {std::string(), std::string("k"), std::string("Eulr"),
                                  std::string(1 << 20, 'k'), std::string("\xff\0+", 3)}) {
    EXPECT_EQ(sampler_name(name), name);
    EXPECT_EQ(split_sampler_name(name), (SamplerAndSchedule{name, ""}));
  }
  EXPECT_EQ(schedule_name("karas"), "karas");
}

TEST(SplitSamplerName, DividesFusedNames) {
  const auto split = split_sampler_name;
  using Pair = SamplerAndSchedule;
  EXPECT_EQ(split("DPM++ 2M Karras"), (Pair{"dpmpp_2m", "karras"}));
  EXPECT_EQ(split("DPM++ 2M SDE Exponential"), (Pair{"dpmpp_2m_sde", "exponential"}));
  EXPECT_EQ(split("DPM++ 2M SDE Heun Karras"), (Pair{"dpmpp_2m_sde_heun", "karras"}));
  EXPECT_EQ(split("DPM++ 3M SDE Karras"), (Pair{"dpmpp_3m_sde", "karras"}));
  EXPECT_EQ(split("DPM++ 2S a Karras"), (Pair{"dpmpp_2s_ancestral", "karras"}));
  EXPECT_EQ(split("DPM2 Karras"), (Pair{"dpm_2", "karras"}));
  EXPECT_EQ(split("DPM2 a Karras"), (Pair{"dpm_2_ancestral", "karras"}));
  EXPECT_EQ(split("LMS Karras"), (Pair{"lms", "karras"}));
  EXPECT_EQ(split("Euler SGM Uniform"), (Pair{"euler", "sgm_uniform"}));
  EXPECT_EQ(split("k_dpm_2_a_ka"), (Pair{"dpm_2_ancestral", "karras"}));
  EXPECT_EQ(split("dpmpp_sde_k"), (Pair{"dpmpp_sde", "karras"}));
  EXPECT_EQ(split("Euler A AYS"), (Pair{"euler_ancestral", "align_your_steps"}));
  EXPECT_EQ(split("UniPC Trailing"), (Pair{"uni_pc", "trailing"}));
}

TEST(SplitSamplerName, KnowsTheNamesOfEveryProgram) {
  const auto split = split_sampler_name;
  using Pair = SamplerAndSchedule;
  // InvokeAI
  EXPECT_EQ(split("kdpm_2_a"), (Pair{"dpm_2_ancestral", ""}));
  EXPECT_EQ(split("lms_k"), (Pair{"lms", "karras"}));
  EXPECT_EQ(split("unipc_k"), (Pair{"uni_pc_bh2", "karras"}));
  // stable-diffusion.cpp
  EXPECT_EQ(split("dpm++2s_a"), (Pair{"dpmpp_2s_ancestral", ""}));
  EXPECT_EQ(split("euler_ge"), (Pair{"gradient_estimation", ""}));
  EXPECT_EQ(split("euler_a_cfg_pp"), (Pair{"euler_ancestral_cfg_pp", ""}));
  EXPECT_EQ(split("dpm++2m_sde_bt"), (Pair{"dpmpp_2m_sde", ""}));
  EXPECT_EQ(split("ddim_trailing"), (Pair{"ddim", "trailing"}));
  // SD.Next
  EXPECT_EQ(split("Euler SGM"), (Pair{"euler", "trailing"}));
  EXPECT_EQ(split("KDPM2 a"), (Pair{"dpm_2_ancestral", ""}));
  EXPECT_EQ(split("LMSD"), (Pair{"lms", ""}));
  // diffusers, with and without endings
  EXPECT_EQ(split("Euler Ancestral Discrete"), (Pair{"euler_ancestral", ""}));
  EXPECT_EQ(split("UniPCMultistep"), (Pair{"uni_pc_bh2", ""}));
  EXPECT_EQ(split("UniPC"), (Pair{"uni_pc", ""})) << "A1111's";
  EXPECT_EQ(split("DPMSolverSinglestepScheduler"), (Pair{"dpmpp_2s", ""}));
  EXPECT_EQ(split("DPMSolverMultistep Karras"), (Pair{"dpmpp_2m", "karras"}));
  EXPECT_EQ(split("PNDM Scheduler"), (Pair{"plms", ""}));
  EXPECT_EQ(split("DPM++ 2M (Karras)"), (Pair{"dpmpp_2m", "karras"}));
}

TEST(Names, ClassesOfDiffusersAreKnown) {
  EXPECT_TRUE(is_diffusers_class("EulerDiscreteScheduler"));
  EXPECT_TRUE(is_diffusers_class("DPMSolverMultistepScheduler(use_karras_sigmas=True)"));
  EXPECT_FALSE(is_diffusers_class("Euler a"));
  EXPECT_FALSE(is_diffusers_class("scheduler"));
}

TEST(SplitSamplerName, LeavesTheScheduleEmptyWhereNoneIsNamed) {
  for (const auto& [text, sampler] :
       {NameAlias{"Euler a", "euler_ancestral"}, NameAlias{"DDIM", "ddim"}, NameAlias{"LCM", "lcm"},
        NameAlias{"DPM adaptive", "dpm_adaptive"}, NameAlias{"DPM++ SDE", "dpmpp_sde"}}) {
    EXPECT_EQ(split_sampler_name(text), (SamplerAndSchedule{std::string(sampler), ""}));
  }
}

TEST(AutomaticSchedule, BelongsToTheSampler) {
  EXPECT_EQ(split_sampler_name("DPM++ 2M Automatic").schedule, "karras");
  EXPECT_EQ(split_sampler_name("DPM++ 2M SDE Automatic").schedule, "exponential");
  EXPECT_EQ(schedule_name("Automatic", "Euler a"), "normal");
  EXPECT_EQ(schedule_name("Karras", "Euler a"), "karras");
}

TEST(DiscardsPenultimate, DiffersByProgram) {
  EXPECT_TRUE(find_sampler("uni_pc").discards_penultimate(Dialect::kComfy));
  EXPECT_FALSE(find_sampler("uni_pc").discards_penultimate(Dialect::kA1111));
  EXPECT_TRUE(find_sampler("DPM++ 3M SDE").discards_penultimate(Dialect::kA1111));
  EXPECT_FALSE(find_sampler("dpmpp_3m_sde").discards_penultimate(Dialect::kFourstep));
  EXPECT_TRUE(find_sampler("DPM2 a").discards_penultimate(Dialect::kA1111));
  EXPECT_FALSE(find_sampler("dpm_2").discards_penultimate(Dialect::kDiffusers));
}

TEST(DiffusersSettings, ChangeTheSamplerOrFixTheSchedule) {
  const auto split = split_sampler_name;
  const std::string multistep = "DPMSolverMultistepScheduler";
  EXPECT_EQ(split(multistep + "(use_karras_sigmas=True)"),
            (SamplerAndSchedule{"dpmpp_2m", "karras"}));
  EXPECT_EQ(split(multistep + " use_karras_sigmas"), (SamplerAndSchedule{"dpmpp_2m", "karras"}));
  EXPECT_EQ(split(multistep + " use_karras_sigmas=False"), (SamplerAndSchedule{"dpmpp_2m", ""}));
  EXPECT_EQ(split(multistep + "(solver_type='heun', algorithm_type='sde-dpmsolver++')"),
            (SamplerAndSchedule{"dpmpp_2m_sde_heun", ""}));
  EXPECT_EQ(split(multistep + " algorithm_type = sde-dpmsolver++, use_exponential_sigmas: true"),
            (SamplerAndSchedule{"dpmpp_2m_sde", "exponential"}));
  EXPECT_EQ(split("Euler Discrete timestep_spacing=trailing"),
            (SamplerAndSchedule{"euler", "trailing"}));
  EXPECT_EQ(split("UniPCMultistepScheduler solver_type=bh1"), (SamplerAndSchedule{"uni_pc", ""}));
  EXPECT_EQ(split("LMSDiscreteScheduler use_beta_sigmas=true"),
            (SamplerAndSchedule{"lms", "beta"}));
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
