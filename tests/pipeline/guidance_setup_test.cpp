// All guidance methods and all pairs of them on a whole tiny model.

#include "pipeline/guidance_setup.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/image_noise.h"
#include "support/guidance_methods.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

using testing::MethodCase;

/// The model is so small that threads would mostly wait for each other.
const bool kOneThread = (at::set_num_threads(1), true);

class Guidance : public testing::TinyRun {
 protected:
  void SetUp() override {
    TinyRun::SetUp();
    models_.emplace(request().files, Placement{});
  }

  /// CFG 3 with a negative prompt, so that every method has something to do.
  Request request() const {
    Request r = TinyRun::request();
    r.prompt.negative = "fox";
    r.sampling.sampler = "euler";
    r.sampling.schedule = "simple";
    r.sampling.cfg_scale = 3;
    return r;
  }

  Request with(const MethodCase& one, double cfg_scale = 3) const {
    Request r = request();
    r.sampling.cfg_scale = cfg_scale;
    one.switch_on(r.guidance);
    return r;
  }

  Tensor latent(const Request& r) { return run(*models_, r)[0].latent; }

  /// The estimates of three calls at one latent and one noise level, which differ by their prompts
  /// alone.
  std::vector<Tensor> estimates(const Request& unresolved) {
    const torch::NoGradGuard no_grad;
    const ResolvedRequest r = resolve(unresolved, models_->traits());
    const PromptPlan prompts = encode_prompts(*models_, r, {});
    const SamplingPlan plan = plan_sampling(r.sampling, make_sdxl_noise_schedule());
    GuidedUNet guided(models_->unet({}), guidance_setup(r, plan), prompts.stages, prompts.spans);
    const double sigma = plan.sigmas[1];
    const Tensor x = make_image_noise(r.seed)({1, 4, r.height / 8, r.width / 8}) * sigma;
    std::vector<Tensor> made;
    for (int call = 0; call < 3; ++call) {
      made.push_back(guided.estimate(x, at::full({1}, sigma, torch::kFloat64)));
    }
    return made;
  }

  std::optional<Models> models_;
};

TEST_F(Guidance, SideSettingsOfAMethodThatIsOffChangeNoBit) {
  for (const double cfg_scale : {1.0, 3.0}) {
    Request plain = request();
    plain.sampling.cfg_scale = cfg_scale;
    const Tensor expected = latent(plain);
    for (const MethodCase& one : testing::method_cases()) {
      Request off = plain;
      one.move_sides(off.guidance);
      EXPECT_TRUE(torch::equal(latent(off), expected)) << one.name << " at CFG " << cfg_scale;
    }
  }
}

TEST_F(Guidance, AMethodWhoseIntervalIsEmptyChangesNoBit) {
  const Tensor expected = latent(request());
  for (const GuidanceMethod& method : guidance_methods()) {
    if (!method.has_interval) continue;
    Request r = request();
    for (const MethodCase& one : testing::method_cases()) {
      if (one.name == method.name) one.switch_on(r.guidance);
    }
    r.guidance.intervals = std::string(method.name) + ":0:0";
    EXPECT_TRUE(torch::equal(latent(r), expected)) << method.name;
  }
}

TEST_F(Guidance, EveryMethodChangesThePictureWhereItClaimsTo) {
  const Tensor guided = latent(request());
  Request unguided = request();
  unguided.sampling.cfg_scale = 1;
  const Tensor plain = latent(unguided);
  for (const MethodCase& one : testing::method_cases()) {
    EXPECT_GT((latent(with(one)) - guided).abs().max().item<double>(), 1e-6) << one.name;
    const auto& methods = guidance_methods();
    const auto method = std::find_if(methods.begin(), methods.end(),
                                     [&](const auto& m) { return m.name == one.name; });
    EXPECT_EQ(torch::equal(latent(with(one, 1)), plain), method->needs_cfg())
        << one.name << " at CFG scale 1";
  }
}

TEST_F(Guidance, AllPairsOfMethodsGiveFinitePicturesOrAReason) {
  const auto& cases = testing::method_cases();
  int finite = 0, refused = 0;
  for (auto one = cases.begin(); one != cases.end(); ++one) {
    for (auto other = one + 1; other != cases.end(); ++other) {
      Request r = with(*one);
      other->switch_on(r.guidance);
      const bool is_refused = !reason_against(one->name, other->name).empty();
      if (is_refused) {
        EXPECT_THROW(latent(r), InvalidRequest) << one->name << " and " << other->name;
        ++refused;
        continue;
      }
      EXPECT_TRUE(latent(r).isfinite().all().item<bool>()) << one->name << " and " << other->name;
      ++finite;
    }
  }
  printf("guidance: %d pairs gave a finite picture, %d were refused with a reason\n", finite,
         refused);
  EXPECT_EQ(finite + refused, static_cast<int>(cases.size() * (cases.size() - 1) / 2));
}

TEST_F(Guidance, AllMethodsTogetherThatDoNotExcludeEachOtherWork) {
  Request r = request();
  for (const MethodCase& one : testing::method_cases()) {
    const auto excludes = [&](std::string_view name) {
      return !reason_against(one.name, name).empty() && is_method_on(r.guidance, name);
    };
    const auto& methods = guidance_methods();
    const bool fits = std::none_of(methods.begin(), methods.end(),
                                   [&](const auto& method) { return excludes(method.name); });
    if (fits) one.switch_on(r.guidance);
  }
  EXPECT_TRUE(latent(r).isfinite().all().item<bool>());
}

TEST_F(Guidance, EveryMethodWorksWithPartsAndScheduledPrompts) {
  constexpr std::pair<const char*, const char*> kPrompts[] = {
      {"a cat AND a fox :0.5", "fox"}, {"a [cat:fox:1]", "fox"},
      {"a [cat|fox]", "fox"},          {"a cat", "[fox:cat:1]"},
      {"a cat", "[fox|cat]"},          {"a [cat:fox:1] AND a [fox|cat] :0.5", "[fox:cat:1]"}};
  int finite = 0;
  for (const auto& [prompt, negative] : kPrompts) {
    Request plain = request();
    plain.prompt.text = prompt;
    plain.prompt.negative = negative;
    const Tensor without = latent(plain);
    for (const MethodCase& one : testing::method_cases()) {
      Request r = plain;
      one.switch_on(r.guidance);
      const Tensor got = latent(r);
      EXPECT_TRUE(got.isfinite().all().item<bool>()) << one.name << ": " << prompt;
      EXPECT_FALSE(torch::equal(got, without)) << one.name << ": " << prompt << " / " << negative;
      ++finite;
    }
  }
  printf("guidance: %d methods with AND and scheduled prompts gave a finite picture\n", finite);
}

TEST_F(Guidance, EveryCallHasThePromptsOfItsStage) {
  const auto with_prompts = [](Request r, const char* prompt, const char* negative) {
    r.prompt.text = prompt;
    r.prompt.negative = negative;
    return r;
  };
  for (const MethodCase& one : testing::method_cases()) {
    for (const double cfg_scale : {1.0, 3.0}) {
      const Request r = with(one, cfg_scale);
      const auto first = estimates(with_prompts(r, "a cat", "fox"));
      const auto positive = estimates(with_prompts(r, "a [cat:fox:1]", "fox"));
      const auto negative = estimates(with_prompts(r, "a cat", "[fox:cat:1]"));
      for (const auto& scheduled : {positive, negative}) {
        EXPECT_TRUE(torch::equal(scheduled[0], first[0])) << one.name << " at CFG " << cfg_scale;
        EXPECT_TRUE(torch::equal(scheduled[1], first[1])) << one.name << " at CFG " << cfg_scale;
      }
      EXPECT_TRUE(torch::equal(positive[2], estimates(with_prompts(r, "a fox", "fox"))[2]))
          << one.name << " at CFG " << cfg_scale;
      EXPECT_TRUE(torch::equal(negative[2], estimates(with_prompts(r, "a cat", "cat"))[2]))
          << one.name << " at CFG " << cfg_scale;
    }
  }
}

TEST_F(Guidance, NagLeadsAwayFromTheNegativePromptOfItsStage) {
  Request r = request();
  r.sampling.cfg_scale = 1;
  r.guidance.nag.scale = 4;
  r.prompt.negative = "[fox:cat:1]";
  const auto made = estimates(r);
  EXPECT_TRUE(torch::equal(made[0], made[1]));
  EXPECT_GT((made[2] - made[0]).abs().max().item<double>(), 1e-5);
}

TEST_F(Guidance, AScheduleOfOneMeaningIsThePlainPrompt) {
  const auto check = [&](const Request& plain, const std::string& name) {
    Request scheduled = plain;
    scheduled.prompt.text = "a [cat:(cat:1):1]";
    scheduled.prompt.negative = "[fox:(fox:1):0]";
    EXPECT_TRUE(torch::equal(latent(scheduled), latent(plain))) << name;
  };
  for (const MethodCase& one : testing::method_cases()) check(with(one), one.name);
  Request momentum = request();
  momentum.guidance.apg.on = true;
  momentum.guidance.apg.momentum = -0.5;
  check(momentum, "apg remembers the calls of other stages");
}

TEST_F(Guidance, PartsOfOneTextAreThePlainPrompt) {
  for (const MethodCase& one : testing::method_cases()) {
    Request parts = with(one);
    parts.prompt.text = "a cat :0.25 AND a cat :0.75";
    // u + 0.25 (c - u) + 0.75 (c - u) = c but for rounding, which CFG and the methods enlarge.
    EXPECT_LE((latent(parts) - latent(with(one))).abs().max().item<double>(), 1e-3) << one.name;
  }
}

TEST_F(Guidance, EverySkimmingModeWorks) {
  const Tensor plain = latent(request());
  for (const auto& [word, mode] : words_of(SkimMode())) {
    if (mode == SkimMode::kOff) continue;
    Request r = request();
    r.guidance.skimmed_cfg.mode = mode;
    r.guidance.skimmed_cfg.scale = 2;
    const Tensor got = latent(r);
    EXPECT_TRUE(got.isfinite().all().item<bool>()) << word;
    EXPECT_FALSE(torch::equal(got, plain)) << word;
  }
}

TEST_F(Guidance, EqualScalesForAllStepsAreOneScale) {
  Request list = request();
  list.guidance.cfg_steps = {3, 3};
  EXPECT_TRUE(torch::equal(latent(list), latent(request())));
  list.guidance.cfg_steps = {3, 1, 1};
  Request interval = request();
  interval.guidance.intervals = "cfg:0:0.1";
  EXPECT_TRUE(torch::equal(latent(list), latent(interval))) << "both guide the first step alone";
  Request off = request();
  off.sampling.cfg_scale = 1;
  Request ones = request();
  ones.guidance.cfg_steps = {1};
  EXPECT_TRUE(torch::equal(latent(ones), latent(off)));
}

TEST_F(Guidance, NagGivesTheNegativePromptAnEffectAtCfgOne) {
  Request r = request();
  r.sampling.cfg_scale = 1;
  const Tensor plain = latent(r);
  r.guidance.nag.scale = 4;
  const Tensor nag = latent(r);
  EXPECT_GT((nag - plain).abs().max().item<double>(), 1e-4);
  r.guidance.nag.prompt = "cat";
  EXPECT_FALSE(torch::equal(latent(r), nag));
  r.guidance.nag.prompt = "fox";
  EXPECT_TRUE(torch::equal(latent(r), nag)) << "the negative prompt by another name";
  r.guidance.nag.end_sigma = 100;
  EXPECT_TRUE(torch::equal(latent(r), plain)) << "over before the first step";
}

TEST_F(Guidance, PromptsOfDifferentLengthsAreGuidedToo) {
  Request r = request();
  r.prompt.negative.clear();
  for (int i = 0; i < 100; ++i) r.prompt.negative += "fox cat ";
  r.guidance.nag.scale = 3;
  r.guidance.sag.scale = 0.5;
  EXPECT_TRUE(latent(r).isfinite().all().item<bool>());
}

TEST_F(Guidance, ASamplerWithCfgPlusPlusGetsTheUncondEstimateThatWasCombined) {
  Request r = request();
  r.sampling.sampler = "euler_cfg_pp";
  const Tensor plain = latent(r);
  r.guidance.tcfg.on = true;  // changes uncond
  EXPECT_TRUE(latent(r).isfinite().all().item<bool>());
  EXPECT_FALSE(torch::equal(latent(r), plain));
}

TEST_F(Guidance, UnknownLayersAreRefusedWithTheKnownOnes) {
  Request r = request();
  r.guidance.pag.scale = 3;
  r.guidance.pag.layers = "mid,down.7";
  try {
    latent(r);
    FAIL() << "no error";
  } catch (const InvalidRequest& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("--pag-layers: \"down.7\""));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("up.0.1"));
  }
}

TEST_F(Guidance, ApgForgetsTheImageBefore) {
  Request r = request();
  r.picture.images = 2;
  r.guidance.apg.on = true;
  r.guidance.apg.momentum = -0.5;
  const Tensor second = run(*models_, r)[1].latent;
  r.picture.images = 1;
  r.picture.seed = 8;
  EXPECT_TRUE(torch::equal(second, latent(r)));
}

}  // namespace
}  // namespace fourstep
