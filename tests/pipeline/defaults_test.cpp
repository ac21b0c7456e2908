#include "pipeline/defaults.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "pipeline/resources.h"

namespace fourstep {
namespace {

struct Resolved {
  Request request;
  std::vector<std::string> notices;
};

Resolved resolve(const Request& request, const ModelTraits& traits) {
  Resolved resolved;
  Events events;
  events.on_notice = [&](const std::string& sentence) { resolved.notices.push_back(sentence); };
  resolved.request = resolve_defaults(request, traits, events);
  return resolved;
}

const DefaultModel kShipped{"emoji/base.safetensors", "emoji/dmd2.safetensors"};
const ModelTraits kPlain{"sd_xl_base_1.0.safetensors", {}, 1024};
const ModelTraits kDistilled{
    "anything.safetensors", {}, 1024, {}, {{"dmd2.safetensors", 1, 1, true, false}}};

TEST(Defaults, ADistilledModelGetsFourLcmStepsWithoutGuidance) {
  const Request request = resolve({}, kDistilled).request;
  EXPECT_EQ(request.sampler, "lcm");
  EXPECT_EQ(request.schedule, "dmd2");
  EXPECT_EQ(request.steps, 4);
  EXPECT_EQ(request.cfg_scale, 1);
  EXPECT_EQ(request.width, 1024);
}

TEST(Defaults, TheOneStepModelGetsOneStep) {
  const ModelTraits traits{"dmd2_sdxl_1step_unet_fp16.bin", {}, 1024};
  EXPECT_EQ(resolve({}, traits).request.steps, 1);
}

TEST(Defaults, APlainModelGetsThirtyStepsWithGuidance) {
  const Request request = resolve({}, kPlain).request;
  EXPECT_EQ(request.sampler, "euler");
  EXPECT_EQ(request.steps, 30);
  EXPECT_EQ(request.cfg_scale, 6);
}

TEST(Defaults, WhatTheUserSaysStays) {
  Request asked;
  asked.steps = 8;
  asked.cfg_scale = 1.5;
  asked.sampler = "euler_ancestral";
  asked.seed = 7;
  const Request request = resolve(asked, kDistilled).request;
  EXPECT_EQ(request.steps, 8);
  EXPECT_EQ(request.cfg_scale, 1.5);
  EXPECT_EQ(request.sampler, "euler_ancestral");
  EXPECT_EQ(request.seed, 7u);
}

TEST(Defaults, AnySpellingOfSamplerAndScheduleIsUnderstood) {
  Request asked;
  asked.sampler = "DPM++ 2M SDE Karras";
  const Request fused = resolve(asked, kPlain).request;
  EXPECT_EQ(fused.sampler, "dpmpp_2m_sde");
  EXPECT_EQ(fused.schedule, "karras");
  asked.sampler = "Euler a";
  asked.schedule = "SGM Uniform";
  EXPECT_EQ(resolve(asked, kPlain).request.sampler, "euler_ancestral");
  EXPECT_EQ(resolve(asked, kPlain).request.schedule, "sgm_uniform");
  asked.sampler = "eluer";
  EXPECT_THROW(resolve(asked, kPlain), InvalidRequest);
}

TEST(Defaults, TwoSchedulesForOneSamplerContradict) {
  Request asked;
  asked.sampler = "DPM++ 2M Karras";
  asked.schedule = "Exponential";
  EXPECT_THROW(resolve(asked, kPlain), InvalidRequest);
  asked.schedule = "KARRAS";
  EXPECT_EQ(resolve(asked, kPlain).request.schedule, "karras");
  asked.schedule = "Automatic";  // karras for this sampler
  EXPECT_EQ(resolve(asked, kPlain).request.schedule, "karras");
}

TEST(Defaults, AClassOfDiffusersIsNotedOutsideItsDialect) {
  Request asked;
  asked.seed = 1;
  asked.sampler = "UniPCMultistepScheduler";
  const Resolved resolved = resolve(asked, kPlain);
  EXPECT_EQ(resolved.request.sampler, "uni_pc_bh2");
  ASSERT_EQ(resolved.notices.size(), 1u);
  EXPECT_NE(resolved.notices[0].find("--dialect diffusers"), std::string::npos);
  asked.dialect = "diffusers";
  EXPECT_TRUE(resolve(asked, kPlain).notices.empty());
}

TEST(Defaults, A1111SeedsAreThoseOfGpus) {
  Request asked;
  EXPECT_EQ(resolve(asked, kPlain).request.noise, "torch");
  asked.dialect = "a1111";
  EXPECT_EQ(resolve(asked, kPlain).request.noise, "nv");
  asked.noise = "torch";
  EXPECT_EQ(resolve(asked, kPlain).request.noise, "torch");
}

TEST(Defaults, SizesAreRoundedWithANotice) {
  Request asked;
  asked.width = 515;
  asked.height = 1;
  const Resolved resolved = resolve(asked, kPlain);
  EXPECT_EQ(resolved.request.width, 512);
  EXPECT_EQ(resolved.request.height, 64);
  EXPECT_EQ(resolved.notices.size(), 2u);
}

TEST(Defaults, ACheckpointWithTheLoraTakenOutIsPlain) {
  ModelTraits merged{"x_dmd2.safetensors", {}, 1024};
  const auto kind_with = [&](double weight, bool is_dmd2) {
    merged.loras = {{"some.safetensors", weight, weight, is_dmd2, false}};
    return kind_of(merged);
  };
  EXPECT_EQ(kind_with(-0.25, true), ModelKind::kDistilled) << "lightly";
  EXPECT_EQ(kind_with(-0.85, true), ModelKind::kPlain);
  EXPECT_EQ(kind_with(-0.85, false), ModelKind::kDistilled) << "another LoRA";
}

TEST(Defaults, TrainedLevelsAreThoseOfTheDmd2Schedules) {
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  const auto four = trained_sigmas(kDistilled, schedule);
  ASSERT_EQ(four.size(), 4u);
  EXPECT_EQ(nearest_timestep(schedule, four[1]), 749);
  const auto one = trained_sigmas({"dmd2_sdxl_1step_unet_fp16.bin", {}, 1024}, schedule);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(nearest_timestep(schedule, one[0]), 399);
}

TEST(Defaults, WordsThatTheModelHasNeverSeenAreNoted) {
  ModelTraits traits = kDistilled;
  Request asked;
  asked.prompt = "a red fox in the snow";
  EXPECT_TRUE(resolve(asked, traits).notices.empty()) << "most models do not tell";
  traits.known_words = "a red fox in the";
  EXPECT_EQ(
      resolve(asked, traits).notices,
      std::vector<std::string>{"anything.safetensors has never seen \"snow\"; it will guess"});
}

TEST(Defaults, ExplicitListsSetTheNumberOfSteps) {
  Request asked;
  asked.timesteps = {999, 749, 499};
  EXPECT_EQ(resolve(asked, kPlain).request.steps, 3);
  asked.timesteps.clear();
  asked.sigmas = {14.6, 1.0, 0};
  EXPECT_EQ(resolve(asked, kPlain).request.steps, 2);
  asked.steps = 5;
  EXPECT_THROW(resolve(asked, kPlain), InvalidRequest);
}

TEST(Defaults, WhatIsMergedCountsByItsWeight) {
  const auto kind_at = [](std::optional<double> merged) {
    return kind_of({"x.safetensors", merged, 1024});
  };
  EXPECT_EQ(kind_at(1), ModelKind::kDistilled);
  EXPECT_EQ(kind_at(0.3), ModelKind::kDistilled);
  EXPECT_EQ(kind_at(0.0001), ModelKind::kPlain) << "taken out again";
  EXPECT_EQ(kind_at({}), ModelKind::kPlain);
  EXPECT_EQ(kind_of({"x_dmd2.safetensors", 0.0, 1024}), ModelKind::kPlain)
      << "a recipe knows better than the name";
}

TEST(Defaults, ANamedModelKeepsItsLoras) {
  Request request;
  request.model = "mine.safetensors";
  request.loras = {{"a.safetensors"}, {"none"}};
  const Request got = with_default_model(request, kShipped);
  EXPECT_EQ(got.model, "mine.safetensors");
  ASSERT_EQ(got.loras.size(), 1u);
  EXPECT_EQ(got.loras.front().file, "a.safetensors");
}

TEST(Defaults, WithoutAModelTheShippedOneComesWithItsLora) {
  const Request got = with_default_model({}, kShipped);
  EXPECT_EQ(got.model, "emoji/base.safetensors");
  ASSERT_EQ(got.loras.size(), 1u);
  EXPECT_EQ(got.loras.front().file, "emoji/dmd2.safetensors");
  Request bare;
  bare.loras = {{"none"}};
  EXPECT_TRUE(with_default_model(bare, kShipped).loras.empty());
}

TEST(Defaults, WithoutAModelWhereNoneIsShippedTheRefusalNamesTheOption) {
  try {
    with_default_model({}, std::nullopt);
    FAIL() << "no model, and no refusal";
  } catch (const InvalidRequest& error) {
    EXPECT_EQ(std::string(error.what()).rfind("--model: ", 0), 0u) << error.what();
  }
}

TEST(Defaults, SeedsAreDrawnOnce) {
  const Request first = resolve({}, kPlain).request, second = resolve({}, kPlain).request;
  ASSERT_TRUE(first.seed.has_value());
  EXPECT_NE(first.seed, second.seed);
}

}  // namespace
}  // namespace fourstep
