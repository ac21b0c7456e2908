#include <gmock/gmock.h>

#include "base/error.h"
#include "base/fields.h"
#include "sampling/names.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;

std::string sampler_refusal(const std::string& name) {
  return message_of<InvalidRequest>([&] { find_sampler(name); });
}

std::string schedule_refusal(const std::string& name) {
  return message_of<InvalidRequest>([&] { find_schedule(name); });
}

TEST(UnknownSampler, IsToldTheNearestThree) {
  EXPECT_THAT(sampler_refusal("eluer"),
              HasSubstr("sampler \"eluer\" is not known; did you mean euler, "));
  EXPECT_THAT(sampler_refusal("dpmpp_2n"), HasSubstr("dpmpp_2m"));
  EXPECT_THAT(sampler_refusal("DPM++ 2M Karas"), HasSubstr("dpmpp_2m karras"));
  EXPECT_THAT(sampler_refusal(std::string(1 << 16, 'x')), HasSubstr("xxx..."));
}

TEST(UnknownSampler, IsExplainedWhereAnotherProgramHasIt) {
  for (const char* name :
       {"res_2s", "RES_2S_ode", "dpm++2mv2", "DPM++ 2M alt Karras", "DPM++ 1S Karras",
        "FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler", "dpmpp_3m_k", "Euler A Substep",
        "Kohaku_LoNyu_Yog"}) {
    EXPECT_THAT(sampler_refusal(name), AllOf(HasSubstr("not supported ("), HasSubstr("nearest: ")))
        << name;
  }
}

TEST(UnknownSampler, NearestNamesOfForeignOnesAreKnown) {
  for (const char* name :
       {"res_2s", "dpm++2mv2", "DPM++ 1S", "dpmpp_3m", "rk_beta", "TDD", "CMSI", "Euler EDM",
        "DPM++ 2M EDM", "DPM++ Inverse", "IPNDMScheduler", "Heun FlowMatch", "ER-SDE 3M",
        "Euler Dy", "res_2m", "deis_2m", "DPM++ 2M alt", "DPM++ 4M SDE"}) {
    const std::string text = sampler_refusal(name);
    size_t num_names = 0;
    for (std::string part : split_text(text.substr(text.find("nearest: ") + 9), ',')) {
      EXPECT_NO_THROW(find_sampler(part)) << part << " for " << name;
      ++num_names;
    }
    EXPECT_EQ(num_names, 3u) << name;
  }
}

TEST(UnknownSampler, ASchedulesNameIsSaidToBeOne) {
  EXPECT_THAT(sampler_refusal("Karras"), HasSubstr("--schedule karras"));
  EXPECT_THAT(schedule_refusal("Euler a"), HasSubstr("--sampler euler_ancestral"));
}

TEST(UnknownSchedule, IsToldTheNearestThree) {
  EXPECT_THAT(schedule_refusal("karas"), HasSubstr("did you mean karras"));
  EXPECT_THAT(schedule_refusal("nope"), Not(HasSubstr("linear_quadratic")));
  EXPECT_THAT(schedule_refusal("flux"), AllOf(HasSubstr("flow-matching"), HasSubstr("nearest: ")));
}

TEST(UnknownNames, NoNameOfOursIsForeign) {
  for (const SamplerRow& row : sampler_rows()) EXPECT_NO_THROW(find_sampler(row.name));
  for (const auto& [alias, name] : sampler_aliases()) {
    EXPECT_EQ(find_sampler(alias).name, name) << alias;
  }
  for (const auto& [alias, name] : schedule_aliases()) {
    EXPECT_EQ(find_schedule(alias).name, name) << alias;
  }
}

}  // namespace
}  // namespace fourstep
