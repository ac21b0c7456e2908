#include "guidance/guided_unet.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "support/guidance_methods.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

/// The network is so small that threads would mostly wait for each other.
const bool kOneThread = (at::set_num_threads(1), true);

Tensor numbers(const Shape& shape, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kFloat64);
}

double difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

Conditioning row_of(const Conditioning& all, int64_t i) {
  return {all.context.narrow(0, i, 1), all.pooled.narrow(0, i, 1), {}};
}

/// Three different prompts on one tiny network in fp64, so that rounding does not decide masks.
class GuidedUNetTest : public ::testing::Test {
 protected:
  void SetUp() override { unet_->to(torch::kFloat64); }

  static Conditioning conditioning(uint64_t seed) {
    const Conditioning drawn = testing::tiny_conditioning(3, seed);
    return {drawn.context.to(torch::kFloat64), drawn.pooled.to(torch::kFloat64), {}};
  }

  GuidanceSetup setup(double cfg_scale = 3) const {
    GuidanceSetup s;
    s.cfg_scale = cfg_scale;
    s.sigmas = {10, 4, 1, 0};
    s.schedule = make_sdxl_noise_schedule();
    s.timestep_of = timestep_of_table(s.schedule);
    s.width = s.height = 64;
    return s;
  }

  Prompts prompts() const {
    Prompts all{.cond = cond_, .uncond = uncond_, .nag = uncond_};
    all.empty = conditioning(3);
    return all;
  }

  static Prompts row_of(const Prompts& all, int64_t i) {
    Prompts row = all;
    row.cond = fourstep::row_of(all.cond, i);
    for (auto* one : {&row.uncond, &row.nag, &row.empty}) {
      if (*one) *one = fourstep::row_of(**one, i);
    }
    for (PromptPart& part : row.others) part.cond = fourstep::row_of(part.cond, i);
    return row;
  }

  GuidedUNet guided(const GuidanceSetup& setup, const Prompts& prompts) const {
    return {unet_, setup, {prompts}, {{0, 0}}};
  }

  /// The estimates of three calls at falling noise levels.
  std::vector<Tensor> estimates(GuidedUNet guided, const Tensor& x) const {
    const torch::NoGradGuard no_grad;
    std::vector<Tensor> all;
    for (const double sigma : {10.0, 4.0, 1.0}) {
      all.push_back(guided.estimate(x * sigma, at::full({x.size(0)}, sigma, torch::kFloat64)));
    }
    return all;
  }

  void expect_batch_equals_singles(const GuidanceSetup& setup, const Prompts& all,
                                   const std::string& what) const {
    const auto batch = estimates(guided(setup, all), x_);
    for (int64_t i = 0; i < 3; ++i) {
      const auto single = estimates(guided(setup, row_of(all, i)), x_.narrow(0, i, 1));
      for (size_t call = 0; call < batch.size(); ++call) {
        EXPECT_LE(difference(batch[call].narrow(0, i, 1), single[call]), 1e-6)
            << what << ", image " << i << ", call " << call;
      }
    }
  }

  UNet unet_ = testing::tiny_unet();
  const Conditioning cond_ = conditioning(1), uncond_ = conditioning(2);
  const Tensor x_ = numbers({3, 4, 8, 8}, 4);
};

TEST_F(GuidedUNetTest, ABatchOfThreeEqualsTheThreeSinglesForEveryMethod) {
  for (const double cfg_scale : {1.0, 3.0}) {
    expect_batch_equals_singles(setup(cfg_scale), prompts(), "no method");
    for (const testing::MethodCase& one : testing::method_cases()) {
      GuidanceSetup with = setup(cfg_scale);
      one.switch_on(with.options);
      expect_batch_equals_singles(with, prompts(),
                                  fmt::format("{} at CFG {}", one.name, cfg_scale));
    }
  }
}

TEST_F(GuidedUNetTest, ABatchEqualsTheSinglesWhereMethodsLookAtWholeTensors) {
  const auto check = [&](const char* what, void (*change)(GuidanceOptions&)) {
    GuidanceSetup with = setup();
    change(with.options);
    expect_batch_equals_singles(with, prompts(), what);
  };
  using O = GuidanceOptions;
  for (const SkimDistance distance : {SkimDistance::kLinear, SkimDistance::kAbsoluteSum}) {
    GuidanceSetup with = setup();
    with.options.skimmed_cfg = {.mode = SkimMode::kDifference, .scale = 2, .distance = distance};
    expect_batch_equals_singles(with, prompts(), "difference");
  }
  check("one range", [](O& o) { o.dynthresh = {.mimic = 2, .percentile = 0.9, .global = true}; });
  check("one deviation", [](O& o) { o.dynthresh = {.mimic = 2, .global = true, .by_std = true}; });
  check("momentum", [](O& o) { o.apg = {.on = true, .threshold = 1, .momentum = -0.5}; });
}

TEST_F(GuidedUNetTest, ABatchEqualsTheSinglesWithPartsAndWithContextsOfTwoLengths) {
  Prompts parts = prompts();
  parts.weight = 0.7;
  parts.others = {{conditioning(5), 0.5}};
  Prompts longer = prompts();
  longer.uncond->context = at::cat({uncond_.context, conditioning(6).context}, 1);
  longer.nag = longer.uncond;
  for (const double cfg_scale : {1.0, 3.0}) {
    GuidanceSetup with = setup(cfg_scale);
    with.options.nag.scale = 3;
    with.options.pag.scale = 2;
    with.options.sag.scale = 0.5;
    expect_batch_equals_singles(with, parts, "parts");
    expect_batch_equals_singles(with, longer, "two lengths");
  }
}

TEST_F(GuidedUNetTest, OnePromptServesAllImagesOfABatch) {
  GuidanceSetup with = setup();
  with.options.nag.scale = 3;
  const Prompts one = row_of(prompts(), 1);
  Prompts three = prompts();
  three.cond = {one.cond.context.repeat({3, 1, 1}), one.cond.pooled.repeat({3, 1}), {}};
  three.uncond = {one.uncond->context.repeat({3, 1, 1}), one.uncond->pooled.repeat({3, 1}), {}};
  three.nag = three.uncond;
  const auto expected = estimates(guided(with, three), x_);
  const auto got = estimates(guided(with, one), x_);
  for (size_t call = 0; call < got.size(); ++call) {
    EXPECT_LE(difference(got[call], expected[call]), 1e-12);
  }
}

TEST_F(GuidedUNetTest, PartsActByTheirDistanceFromUncond) {
  const Conditioning other = conditioning(5);
  const auto alone = [&](const Conditioning& cond) {
    return estimates(guided(setup(1), Prompts{.cond = cond}), x_);
  };
  const auto a = alone(cond_), b = alone(other), u = alone(uncond_);
  Prompts parts = prompts();
  parts.weight = 0.5;
  parts.others = {{other, 2}};
  const auto plain = estimates(guided(setup(1), parts), x_);
  const auto cfg = estimates(guided(setup(3), parts), x_);
  parts.weight = 0.25;
  parts.others = {{other, 0.75}};
  Prompts without = parts;
  without.uncond.reset();
  const auto mean = estimates(guided(setup(1), without), x_);
  for (size_t i = 0; i < a.size(); ++i) {
    // Other contexts in the negative prompt's call take another size of batch, which rounds
    // differently.
    const Tensor way = (a[i] - u[i]) * 0.5 + (b[i] - u[i]) * 2;
    EXPECT_LE(difference(plain[i], u[i] + way), 1e-8);
    EXPECT_LE(difference(cfg[i], u[i] + way * 3), 1e-8);
    EXPECT_LE(difference(mean[i], a[i] * 0.25 + b[i] * 0.75), 1e-8) << "uncond has no influence";
  }
}

TEST_F(GuidedUNetTest, EveryCallIsShownItsStageUntilRestart) {
  const Prompts first = prompts();
  Prompts second = prompts();
  second.cond = conditioning(5);
  GuidedUNet both(unet_, setup(), {first, second}, {{1, 0}, {2, 1}});
  GuidedUNet one = guided(setup(), first), other = guided(setup(), second);
  const torch::NoGradGuard no_grad;
  const Tensor sigma = at::full({3}, 4.0, torch::kFloat64);
  const Tensor a = one.estimate(x_, sigma), b = other.estimate(x_, sigma);
  for (int run = 0; run < 2; ++run) {
    for (const Tensor& expected : {a, a, b, b}) {
      EXPECT_TRUE(torch::equal(both.estimate(x_, sigma), expected));
    }
    both.restart();
    EXPECT_FALSE(both.last_uncond().defined());
  }
}

// A1111's rule: `if self.step % 2 and s_min_uncond > 0 and sigma[0] < s_min_uncond: skip_uncond`,
// with a count of calls.
TEST_F(GuidedUNetTest, NgmsLeavesCfgOutOfOddCallsBelowItsLevel) {
  GuidanceSetup with = setup();
  with.options.ngms.sigma = 4;
  GuidedUNet ngms = guided(with, prompts()), cfg = guided(setup(3), prompts()),
             plain = guided(setup(1), prompts());
  const torch::NoGradGuard no_grad;
  constexpr std::pair<double, bool> kCalls[] = {{3.5, true}, {4, true},  {3, true},   {3, false},
                                                {2, true},   {1, false}, {0.5, true}, {5, true}};
  for (const auto& [level, has_cfg] : kCalls) {
    const Tensor sigma = at::full({3}, level, torch::kFloat64);
    const Tensor expected = has_cfg ? cfg.estimate(x_, sigma) : plain.estimate(x_, sigma);
    EXPECT_TRUE(torch::equal(ngms.estimate(x_, sigma), expected)) << level;
    EXPECT_EQ(ngms.last_uncond().defined(), has_cfg) << "the pass is saved";
  }
}

TEST_F(GuidedUNetTest, GivesTheUncondEstimateThatWasCombined) {
  GuidanceSetup with = setup(1);
  with.sampler_needs_uncond = true;
  GuidedUNet guided = this->guided(with, prompts());
  GuidedUNet alone = this->guided(setup(1), Prompts{.cond = uncond_});
  const torch::NoGradGuard no_grad;
  const Tensor sigma = at::full({3}, 4.0, torch::kFloat64);
  guided.estimate(x_, sigma);
  EXPECT_LE(difference(guided.last_uncond(), alone.estimate(x_, sigma)), 1e-8);
  EXPECT_FALSE(alone.last_uncond().defined());
}

TEST_F(GuidedUNetTest, PassesTheRunsExtrasOn) {
  GuidanceSetup with = setup(1);
  int layers = 0;
  with.extras.between_layers = [&] {
    if (++layers == 3) throw Cancelled();
  };
  GuidedUNet guided = this->guided(with, prompts());
  EXPECT_THROW(guided.estimate(x_, at::full({3}, 4.0, torch::kFloat64)), Cancelled);
  EXPECT_EQ(layers, 3);
}

TEST_F(GuidedUNetTest, RefusesUnknownLayersAndRowsThatFitNoBatch) {
  GuidanceSetup with = setup();
  with.options.pag = {.scale = 3, .layers = "down.7"};
  EXPECT_THROW(guided(with, prompts()), InvalidRequest);
  Prompts two = prompts();
  two.cond = {cond_.context.narrow(0, 0, 2), cond_.pooled.narrow(0, 0, 2), {}};
  GuidedUNet wrong = guided(setup(), two);
  EXPECT_THROW(wrong.estimate(x_, at::full({3}, 4.0, torch::kFloat64)), Error);
}

}  // namespace
}  // namespace fourstep
