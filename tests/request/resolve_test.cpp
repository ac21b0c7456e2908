#include "request/resolve.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "request/resources.h"

namespace fourstep {
namespace {

std::vector<std::string> notices_of(const Request& request, const ModelTraits& traits) {
  std::vector<std::string> notices;
  Events events;
  events.on_notice = [&](const std::string& sentence) { notices.push_back(sentence); };
  resolve(request, traits, events);
  return notices;
}

const DefaultModel kShipped{"emoji/base.safetensors", "emoji/dmd2.safetensors"};
const ModelTraits kPlain{"sd_xl_base_1.0.safetensors", {}, 1024};
const ModelTraits kDistilled{
    "anything.safetensors", {}, 1024, {}, {{"dmd2.safetensors", 1, 1, true, false}}};

TEST(Defaults, ADistilledModelGetsFourLcmStepsWithoutGuidance) {
  const ResolvedRequest request = resolve({}, kDistilled);
  EXPECT_EQ(request.sampling.sampler, "lcm");
  EXPECT_EQ(request.sampling.schedule, "dmd2");
  EXPECT_EQ(request.sampling.steps, 4);
  EXPECT_EQ(request.sampling.cfg_scale, 1);
  EXPECT_EQ(request.width, 1024);
}

TEST(Defaults, TheOneStepModelGetsOneStep) {
  const ModelTraits traits{"dmd2_sdxl_1step_unet_fp16.bin", {}, 1024};
  EXPECT_EQ(resolve({}, traits).sampling.steps, 1);
}

TEST(Defaults, APlainModelGetsThirtyStepsWithGuidance) {
  const ResolvedRequest request = resolve({}, kPlain);
  EXPECT_EQ(request.sampling.sampler, "euler");
  EXPECT_EQ(request.sampling.steps, 30);
  EXPECT_EQ(request.sampling.cfg_scale, 6);
}

TEST(Defaults, WhatTheUserSaysStays) {
  Request asked;
  asked.sampling.steps = 8;
  asked.sampling.cfg_scale = 1.5;
  asked.sampling.sampler = "euler_ancestral";
  asked.picture.seed = 7;
  const ResolvedRequest request = resolve(asked, kDistilled);
  EXPECT_EQ(request.sampling.steps, 8);
  EXPECT_EQ(request.sampling.cfg_scale, 1.5);
  EXPECT_EQ(request.sampling.sampler, "euler_ancestral");
  EXPECT_EQ(request.seed.seed, 7u);
}

TEST(Defaults, AnySpellingOfSamplerAndScheduleIsUnderstood) {
  Request asked;
  asked.sampling.sampler = "DPM++ 2M SDE Karras";
  const ResolvedRequest fused = resolve(asked, kPlain);
  EXPECT_EQ(fused.sampling.sampler, "dpmpp_2m_sde");
  EXPECT_EQ(fused.sampling.schedule, "karras");
  asked.sampling.sampler = "Euler a";
  asked.sampling.schedule = "SGM Uniform";
  EXPECT_EQ(resolve(asked, kPlain).sampling.sampler, "euler_ancestral");
  EXPECT_EQ(resolve(asked, kPlain).sampling.schedule, "sgm_uniform");
  asked.sampling.sampler = "eluer";
  EXPECT_THROW(resolve(asked, kPlain), InvalidRequest);
}

TEST(Defaults, TwoSchedulesForOneSamplerContradict) {
  Request asked;
  asked.sampling.sampler = "DPM++ 2M Karras";
  asked.sampling.schedule = "Exponential";
  EXPECT_THROW(resolve(asked, kPlain), InvalidRequest);
  asked.sampling.schedule = "KARRAS";
  EXPECT_EQ(resolve(asked, kPlain).sampling.schedule, "karras");
  asked.sampling.schedule = "Automatic";  // karras for this sampler
  EXPECT_EQ(resolve(asked, kPlain).sampling.schedule, "karras");
}

TEST(Defaults, AClassOfDiffusersIsNotedOutsideItsDialect) {
  Request asked;
  asked.picture.seed = 1;
  asked.sampling.sampler = "UniPCMultistepScheduler";
  EXPECT_EQ(resolve(asked, kPlain).sampling.sampler, "uni_pc_bh2");
  const auto notices = notices_of(asked, kPlain);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("--dialect diffusers"), std::string::npos);
  asked.sampling.dialect = Dialect::kDiffusers;
  EXPECT_TRUE(notices_of(asked, kPlain).empty());
}

TEST(Defaults, A1111SeedsAreThoseOfGpus) {
  Request asked;
  EXPECT_EQ(resolve(asked, kPlain).seed.origin, NoiseOrigin::kTorch);
  asked.sampling.dialect = Dialect::kA1111;
  EXPECT_EQ(resolve(asked, kPlain).seed.origin, NoiseOrigin::kPhilox);
  asked.noise.origin = NoiseChoice::kTorch;
  EXPECT_EQ(resolve(asked, kPlain).seed.origin, NoiseOrigin::kTorch);
}

TEST(Defaults, SizesAreRoundedWithANotice) {
  Request asked;
  asked.picture.width = 515;
  asked.picture.height = 1;
  EXPECT_EQ(resolve(asked, kPlain).width, 512);
  EXPECT_EQ(resolve(asked, kPlain).height, 64);
  asked.picture.seed = 1;
  EXPECT_EQ(notices_of(asked, kPlain).size(), 2u);
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
  asked.prompt.text = "a red fox in the snow";
  EXPECT_TRUE(notices_of(asked, traits).empty()) << "most models do not tell";
  traits.known_words = "a red fox in the";
  EXPECT_EQ(
      notices_of(asked, traits),
      std::vector<std::string>{"anything.safetensors has never seen \"snow\"; it will guess"});
}

TEST(Defaults, ExplicitListsSetTheNumberOfSteps) {
  Request asked;
  asked.sampling.timesteps = {999, 749, 499};
  EXPECT_EQ(resolve(asked, kPlain).sampling.steps, 3);
  asked.sampling.timesteps.clear();
  asked.sampling.sigmas = {14.6, 1.0, 0};
  EXPECT_EQ(resolve(asked, kPlain).sampling.steps, 2);
  asked.sampling.steps = 5;
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
  request.files.model = "mine.safetensors";
  request.files.loras = {{"a.safetensors"}, {"none"}};
  const Request got = with_default_model(request, kShipped);
  EXPECT_EQ(got.files.model, "mine.safetensors");
  ASSERT_EQ(got.files.loras.size(), 1u);
  EXPECT_EQ(got.files.loras.front().file, "a.safetensors");
}

TEST(Defaults, WithoutAModelTheShippedOneComesWithItsLora) {
  const Request got = with_default_model({}, kShipped);
  EXPECT_EQ(got.files.model, "emoji/base.safetensors");
  ASSERT_EQ(got.files.loras.size(), 1u);
  EXPECT_EQ(got.files.loras.front().file, "emoji/dmd2.safetensors");
  Request bare;
  bare.files.loras = {{"none"}};
  EXPECT_TRUE(with_default_model(bare, kShipped).files.loras.empty());
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
  const ResolvedRequest first = resolve({}, kPlain), second = resolve({}, kPlain);
  EXPECT_EQ(first.written.picture.seed, first.seed.seed);
  EXPECT_NE(first.seed.seed, second.seed.seed);
}

TEST(Defaults, EveryImageHasASeedOfItsOwn) {
  Request asked;
  asked.picture.seed = 5;
  asked.picture.images = 3;
  EXPECT_EQ(image_seeds(resolve(asked, kPlain)).at(2).seed, 7u);
  asked.noise.variation_seed = 100;
  asked.noise.variation_strength = 0.2;
  const ImageSeed third = image_seeds(resolve(asked, kPlain)).at(2);
  EXPECT_EQ(third.seed, 5u);
  EXPECT_EQ(third.variation_seed, 102u);
  EXPECT_EQ(single_image(asked, 2).noise.variation_seed, 102u);
  EXPECT_EQ(single_image(asked, 2).picture.images, 1);
}

ImageSeed first_seed(Dialect dialect, int64_t ensd = 0) {
  Request asked;
  asked.picture.seed = 5;
  asked.sampling.dialect = dialect;
  asked.noise.origin = NoiseChoice::kTorch;
  asked.noise.ensd = ensd;
  return image_seeds(resolve(asked, kPlain)).at(0);
}

std::vector<float> first_numbers(const Tensor& noise) {
  const float* values = noise.const_data_ptr<float>();
  return {values, values + 4};
}

const Shape kSmallLatent = {1, 4, 8, 8};

/// Numbers of torch.randn((1, 4, 8, 8), generator=g) with g = torch.Generator().manual_seed(5), and
/// then of manual_seed(6), from which ComfyUI on a CPU draws the noise of the steps.
TEST(ImageSeeds, ComfyUiStartsTheStepsAtTheNextSeed) {
  const NoiseSource noise = make_image_noise(first_seed(Dialect::kComfy));
  EXPECT_EQ(first_numbers(noise(kSmallLatent)),
            (std::vector<float>{1.84232986f, 0.518887162f, -1.71192133f, -1.7013793f}));
  EXPECT_EQ(first_numbers(noise(kSmallLatent)),
            (std::vector<float>{-1.21130455f, 0.630358577f, -1.47130394f, -1.335199f}));
  EXPECT_EQ(first_numbers(noise(kSmallLatent)),
            (std::vector<float>{0.995447636f, -1.09742796f, 1.61368716f, 1.18029308f}));
}

TEST(ImageSeeds, OtherDialectsContinueTheStartStream) {
  for (const Dialect dialect : {Dialect::kFourstep, Dialect::kA1111, Dialect::kDiffusers}) {
    const NoiseSource noise = make_image_noise(first_seed(dialect));
    noise(kSmallLatent);
    EXPECT_EQ(first_numbers(noise(kSmallLatent)),
              (std::vector<float>{0.194938123f, 1.54076397f, -0.660340548f, 0.753575027f}));
  }
}

TEST(ImageSeeds, AnAskedForDeltaHoldsInComfyUisDialectToo) {
  EXPECT_EQ(first_seed(Dialect::kComfy).ensd, 1);
  EXPECT_EQ(first_seed(Dialect::kComfy, 31337).ensd, 31337);
}

TEST(Defaults, WhatTheFileSaysHoldsUnlessTheRequestKnowsBetter) {
  ModelTraits traits = kPlain;
  traits.zero_snr = true;
  traits.output = NetworkOutput::kV;
  traits.has_two_encoders = false;
  Request asked;
  EXPECT_TRUE(resolve(asked, traits).zero_snr);
  EXPECT_EQ(resolve(asked, traits).output, NetworkOutput::kV);
  EXPECT_FALSE(resolve(asked, traits).prompt.zero_empty_negative) << "SD 1.5 encodes it";
  asked.networks.zero_snr = false;
  asked.networks.prediction = PredictionChoice::kEpsilon;
  asked.networks.empty_negative = EmptyNegative::kZeros;
  EXPECT_FALSE(resolve(asked, traits).zero_snr);
  EXPECT_EQ(resolve(asked, traits).output, NetworkOutput::kEps);
  EXPECT_TRUE(resolve(asked, traits).prompt.zero_empty_negative);
}

TEST(Defaults, AnEmptyNegativePromptIsZerosForSdxlButNotInComfyui) {
  Request asked;
  EXPECT_TRUE(resolve(asked, kPlain).prompt.zero_empty_negative);
  asked.sampling.dialect = Dialect::kComfy;
  EXPECT_FALSE(resolve(asked, kPlain).prompt.zero_empty_negative);
}

TEST(Defaults, NumbersOfTheSamplerAndTheScheduleAreFilledIn) {
  Request asked;
  asked.sampling.sampler = "tcd";
  asked.sampling.schedule = "polyexponential";
  EXPECT_EQ(resolve(asked, kPlain).sampling.eta, 0.3);
  EXPECT_EQ(resolve(asked, kPlain).sampling.rho, 1);
  EXPECT_FALSE(resolve(asked, kPlain).written.sampling.eta) << "written down as it was asked";
  asked.sampling.schedule = "karras";
  asked.sampling.eta = 0.7;
  EXPECT_EQ(resolve(asked, kPlain).sampling.eta, 0.7);
  EXPECT_EQ(resolve(asked, kPlain).sampling.rho, 7);
}

TEST(Defaults, ComfyuiDrawsTheNoiseOfStepsFromAStreamOfItsOwn) {
  Request asked;
  asked.sampling.dialect = Dialect::kComfy;
  EXPECT_EQ(resolve(asked, kPlain).seed.ensd, 1);
  asked.noise.ensd = 31337;
  EXPECT_EQ(resolve(asked, kPlain).seed.ensd, 31337);
}

}  // namespace
}  // namespace fourstep
