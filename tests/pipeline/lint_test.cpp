#include "pipeline/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "pipeline/models.h"
#include "request/resources.h"

namespace fourstep {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const LoraTraits kDmd2Lora{"dmd2_sdxl_4step_lora_fp16.safetensors", 1, 1, true, false};
const ModelTraits kPlainModel{"sd_xl_base_1.0.safetensors", {}, 1024};
const ModelTraits kFourStepModel{"sd_xl_base_1.0.safetensors", {}, 1024, {}, {kDmd2Lora}};

std::vector<LintFinding> findings_on(const Request& asked, const ModelTraits& traits) {
  const ResolvedRequest request = resolve(asked, traits);
  const SamplingPlan plan = plan_sampling(request.sampling, make_sdxl_noise_schedule());
  return lint({asked, request, traits, plan});
}

std::vector<std::string> codes_of(const Request& asked, const ModelTraits& traits) {
  std::vector<std::string> codes;
  for (const LintFinding& one : findings_on(asked, traits)) codes.push_back(one.code);
  return codes;
}

/// The request after `change`.
template <typename Change>
Request with(Change change) {
  Request request;
  change(request);
  return request;
}

ModelTraits with_loras(std::vector<LoraTraits> loras) {
  ModelTraits traits = kFourStepModel;
  traits.loras = std::move(loras);
  return traits;
}

/// A request or model with a problem, and one as near as can be without it.
struct Example {
  std::string code;
  Request bad, good;
  ModelTraits bad_model = kFourStepModel, good_model = kFourStepModel;
};

std::vector<Example> examples_of_sampling() {
  return {
      {"sampler-without-noise", with([](Request& r) { r.sampling.sampler = "euler"; }),
       with([](Request& r) { r.sampling.sampler = "euler_ancestral"; })},
      {"schedule-off-grid", with([](Request& r) { r.sampling.schedule = "linear_quadratic"; }),
       with([](Request& r) { r.sampling.schedule = "sgm_uniform"; })},
      {"cfg-burns", with([](Request& r) { r.sampling.cfg_scale = 1.6; }),
       with([](Request& r) { r.sampling.cfg_scale = 1.5; })},
      {"too-many-steps", with([](Request& r) { r.sampling.steps = 13; }),
       with([](Request& r) { r.sampling.steps = 12; })},
      {"too-few-steps", with([](Request& r) { r.sampling.steps = 9; }),
       with([](Request& r) { r.sampling.steps = 10; }), kPlainModel, kPlainModel},
      {"size-too-large", with([](Request& r) { r.picture.width = 1024, r.picture.height = 1496; }),
       with([](Request& r) { r.picture.width = 1344, r.picture.height = 768; })},
      {"size-too-small", with([](Request& r) { r.picture.width = 512, r.picture.height = 512; }),
       with([](Request& r) { r.picture.width = 768, r.picture.height = 768; })},
      {"idle-negative-prompt", with([](Request& r) { r.prompt.negative = "blurry"; }),
       with([](Request& r) { r.prompt.negative = "blurry", r.guidance.nag.scale = 3; })},
      {"idle-guidance", with([](Request& r) { r.guidance.apg.on = true; }),
       with([](Request& r) { r.guidance.apg.on = true, r.sampling.cfg_scale = 1.5; })},
      {"mistyped-weight", with([](Request& r) { r.prompt.text = "a (cat:1,2)"; }),
       with([](Request& r) {
         r.prompt.text = "a (cat:1,2)", r.sampling.dialect = Dialect::kDiffusers;
       })},
      {"idle-options", with([](Request& r) {
         r.sampling.timesteps = {999, 499}, r.sampling.schedule = "simple";
       }),
       with([](Request& r) {
         r.sampling.timesteps = {999, 499};
       })},
  };
}

std::vector<Example> examples_of_loras() {
  const Request with_many_steps =
      with([](Request& r) { r.sampling.steps = 30, r.sampling.cfg_scale = 6; });
  const LoraTraits half{"half.safetensors", 0.5, 0.5, true, false};
  const LoraTraits third{"third.safetensors", 0.4, 0.4, true, false};
  const LoraTraits style{"style.safetensors", 1, 0.5, false, false};
  const LoraTraits with_text{"style.safetensors", 1, 0.5, false, true};
  const LoraTraits taken_out{"dmd2.safetensors", -0.85, -0.85, true, false};
  const auto merged = [](ModelTraits traits) {
    traits.merged_dmd2 = 0.85;
    return traits;
  };
  const LoraTraits nothing{"style.safetensors", 0, 0, false, true};
  return {
      {"missing-text-part",
       {},
       {},
       with_loras({kDmd2Lora, style}),
       with_loras({kDmd2Lora, with_text})},
      {"lora-strength", {}, {}, with_loras({kDmd2Lora, third}), with_loras({half, half})},
      {"lora-strength", {}, {}, merged(with_loras({kDmd2Lora})), merged(with_loras({third}))},
      {"lora-strength", with_many_steps, with_many_steps, with_loras({taken_out}),
       merged(with_loras({taken_out}))},
      {"idle-lora", {}, {}, with_loras({kDmd2Lora, nothing}), with_loras({kDmd2Lora, with_text})},
  };
}

std::vector<Example> all_examples() {
  std::vector<Example> examples = examples_of_sampling();
  for (Example& example : examples_of_loras()) examples.push_back(std::move(example));
  return examples;
}

TEST(Lint, EachRuleFiresOnItsProblemAlone) {
  for (const Example& example : all_examples()) {
    EXPECT_THAT(codes_of(example.bad, example.bad_model), ElementsAre(example.code));
    EXPECT_THAT(codes_of(example.good, example.good_model), IsEmpty()) << example.code;
  }
}

TEST(Lint, EachRuleHasAnExample) {
  std::set<std::string> shown;
  for (const Example& example : all_examples()) shown.insert(example.code);
  for (const std::string_view code : lint_codes()) EXPECT_THAT(shown, Contains(std::string(code)));
  EXPECT_EQ(shown.size(), lint_codes().size());
}

TEST(Lint, DefaultsHaveNoProblem) {
  EXPECT_THAT(codes_of({}, kFourStepModel), IsEmpty());
  EXPECT_THAT(codes_of({}, kPlainModel), IsEmpty());
  const ModelTraits one_step{"dmd2_sdxl_1step_unet_fp16.bin", {}, 1024};
  EXPECT_THAT(codes_of({}, one_step), IsEmpty());
}

TEST(Lint, TheShippedModelHasNoProblemAtItsDefaults) {
  const auto shipped = find_default_model();
  if (!shipped) GTEST_SKIP() << "the shipped model is not there";
  const Request asked = with_default_model({}, shipped);
  Models models(asked.files, {});
  models.set_loras(asked.files.loras, false, {});
  EXPECT_EQ(models.traits().native_side, 128);
  EXPECT_THAT(findings_on(asked, models.traits()), IsEmpty());
}

TEST(Lint, LorasByStepCountWithTheirLargestWeight) {
  const auto codes = [](const char* weights, double text_weight) {
    const StepWeights unet = step_weights_from_text("", weights);
    return codes_of({}, with_loras({{"dmd2.safetensors", unet, text_weight, true, false}}));
  };
  EXPECT_THAT(codes("0@0,1@2", 0), IsEmpty());
  EXPECT_THAT(codes("0.5@0,1@2", 0.5), IsEmpty()) << "one text for both parts";
  EXPECT_THAT(codes("0.5@0,1.5@2", 0.5), ElementsAre("lora-strength"));
}

TEST(Lint, OtherDistillationsMayTakeFewSteps) {
  const Request few = with([](Request& r) { r.sampling.steps = 4, r.sampling.cfg_scale = 1; });
  const LoraTraits lightning{"sdxl_lightning_4step_lora.safetensors", 1, 1, false, false};
  EXPECT_THAT(codes_of(few, with_loras({lightning})), IsEmpty());
  EXPECT_THAT(codes_of(few, {"sd_xl_turbo_1.0_fp16.safetensors", {}, 1024}), IsEmpty());
}

TEST(Lint, SentencesCarryTheNumbers) {
  const auto only = [](const Request& asked) { return findings_on(asked, kFourStepModel).at(0); };
  Request asked;
  asked.sampling.steps = 5;
  asked.sampling.schedule = "linear_quadratic";
  EXPECT_THAT(only(asked).sentence, HasSubstr("missed by 1.16")) << "from sigmas of ComfyUI's list";
  asked = {};
  asked.picture.width = 1024, asked.picture.height = 1496;
  EXPECT_THAT(only(asked).sentence, HasSubstr("1.53"));
  EXPECT_THAT(only(asked).remedy, HasSubstr("--width 832 --height 1216"));
  asked = {};
  asked.prompt.negative = "blurry";
  EXPECT_THAT(only(asked).remedy, HasSubstr("NAG"));
}

TEST(Lint, FewerStepsThanTrainedLevelsMayMissSome) {
  Request asked;
  asked.sampling.steps = 2;
  EXPECT_THAT(codes_of(asked, kFourStepModel), IsEmpty()) << "999, 499";
  asked.sampling.schedule = "karras";
  EXPECT_THAT(codes_of(asked, kFourStepModel), ElementsAre("schedule-off-grid")) << "999, 0";
}

TEST(Lint, ModelsKeepTheirOwnSide) {
  ModelTraits small = kFourStepModel;
  small.native_side = 128;
  Request asked;
  asked.picture.width = asked.picture.height = 256;
  const LintFinding finding = findings_on(asked, small).at(0);
  EXPECT_EQ(finding.code, "size-too-large");
  EXPECT_THAT(finding.remedy, HasSubstr("--width 128 --height 128"));
}

TEST(Lint, StochasticIsWhatDrawsNoiseWithTheseSettings) {
  Request asked;
  asked.sampling.sampler = "ddim";
  EXPECT_THAT(codes_of(asked, kFourStepModel), ElementsAre("sampler-without-noise"));
  asked.sampling.eta = 1;
  EXPECT_THAT(codes_of(asked, kFourStepModel), IsEmpty());
  asked.sampling.sampler = "euler_ancestral";
  asked.sampling.eta = 0;
  EXPECT_THAT(codes_of(asked, kFourStepModel), ElementsAre("sampler-without-noise"));
  asked = {};
  asked.sampling.sampler = "euler", asked.sampling.steps = 1, asked.sampling.timesteps = {999};
  EXPECT_THAT(codes_of(asked, kFourStepModel), Not(Contains("sampler-without-noise")));
}

TEST(Lint, AMergedLoraTakenOutAgainLeavesAPlainModel) {
  ModelTraits merged{"juggernaut_dmd2.safetensors", {}, 1024};
  Request asked;
  asked.sampling.sampler = "euler_ancestral", asked.sampling.steps = 50,
  asked.sampling.cfg_scale = 5;
  EXPECT_THAT(codes_of(asked, merged), ElementsAre("cfg-burns", "too-many-steps"));
  merged.loras = {{"dmd2.safetensors", -0.85, -0.85, true, false}};
  EXPECT_THAT(codes_of(asked, merged), IsEmpty());
}

TEST(Lint, IdleOptionsAreNamed) {
  Request asked;
  asked.sampling.sampler = "dpmpp_2m", asked.sampling.schedule = "simple",
  asked.sampling.steps = 20;
  asked.sampling.rho = 5, asked.sampling.eta = 0.5, asked.noise.variation_seed = 3;
  const auto findings = findings_on(asked, kPlainModel);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_THAT(findings[0].sentence, HasSubstr("--rho, --eta, --variation-seed have no effect"));
  asked = {};
  asked.sampling.dialect = Dialect::kA1111, asked.sampling.sampler = "ddim",
  asked.sampling.schedule = "karras", asked.sampling.steps = 20;
  EXPECT_THAT(findings_on(asked, kPlainModel).at(0).sentence,
              HasSubstr("--schedule has no effect"));
}

TEST(Lint, IsOneLineOfTextAndAnObjectOfJson) {
  const LintFinding finding{"code", "a is b", "use c"};
  EXPECT_EQ(text_of(finding), "a is b; use c");
  const auto json = json_from(std::vector{finding});
  EXPECT_EQ(json.dump(), R"([{"code":"code","sentence":"a is b","remedy":"use c"}])");
}

}  // namespace
}  // namespace fourstep
