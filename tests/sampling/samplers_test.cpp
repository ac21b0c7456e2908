#include "sampling/samplers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "sampling/parameterization.h"
#include "sampling/schedules.h"
#include "sampling/toy_denoiser.h"

namespace fourstep {
namespace {

using testing::gaussian_consistency;
using testing::gaussian_denoiser;

constexpr double kDeviation = 0.7;  // of the Gaussian data whose denoiser is exact

const NoiseSchedule kSdxl = make_sdxl_noise_schedule();

StepNoise noise_of_seed(uint64_t seed) { return noise_like(make_torch_noise(seed)); }

/// A run on SDXL's schedule with the sampler's own settings; the uncond estimate is the guided one.
Tensor run_sampler(const SamplerRow& row, const Denoiser& denoise, const Tensor& x,
                   const std::vector<double>& sigmas, const StepNoise& noise,
                   const OnStep& on_step = {}) {
  Tensor last;
  const Denoiser remembering = [&](const Tensor& x, const Tensor& sigma) {
    return last = denoise(x, sigma);
  };
  return sample(row, {remembering, sigmas, kSdxl, row.defaults, noise, [&] { return last; }}, x,
                on_step);
}

/// The sampler's result from the noisy state that Gaussian data of kDeviation have at sigmas[0].
Tensor sample_gaussian(const SamplerRow& row, const Denoiser& denoise,
                       const std::vector<double>& sigmas) {
  const Tensor unit = make_torch_noise(1)({2, 4, 64, 64});
  return run_sampler(row, denoise, unit * std::hypot(kDeviation, sigmas.front()), sigmas,
                     noise_of_seed(2));
}

double deviation_of(const Tensor& x) { return x.std().item<double>(); }

/// How near the sampler comes in 200 steps. The sampling error alone is 0.003.
double tolerance_of(std::string_view sampler) {
  if (sampler == "tcd") return 0.05;  // goes down to 0.7 of each timestep for a fixed estimate
  if (sampler == "dpm_adaptive") return 0.04;  // chooses its own few steps
  return 0.02;                                 // first order
}

TEST(Samplers, EveryOneReturnsTheDeviationOfGaussianData) {
  const auto sigmas = make_sigmas("karras", kSdxl, 200);
  for (const auto& row : sampler_rows()) {
    // Takes both estimates from different calls, so that with equal ones it is not the sampler it
    // is named after.
    if (row.name == "dpmpp_2s_ancestral_cfg_pp") continue;
    // LCM wants a consistency function: with the posterior mean it would shrink the data at every
    // step.
    const Denoiser denoise =
        row.name == "lcm" ? gaussian_consistency(kDeviation) : gaussian_denoiser(kDeviation);
    EXPECT_NEAR(deviation_of(sample_gaussian(row, denoise, sigmas)), kDeviation,
                tolerance_of(row.name))
        << row.name;
  }
}

TEST(Samplers, LcmIsExactForAConsistencyFunctionInFourSteps) {
  const auto sigmas = make_sigmas("dmd2", kSdxl, 4);
  const Tensor x0 = sample_gaussian(find_sampler("lcm"), gaussian_consistency(kDeviation), sigmas);
  EXPECT_NEAR(deviation_of(x0), kDeviation, 0.012);  // four standard errors of 32768 values
}

TEST(Samplers, HigherOrdersAreMoreAccurateThanEulerForTheSameSteps) {
  const auto sigmas = make_sigmas("karras", kSdxl, 20);
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  const Tensor exact =
      sample_gaussian(find_sampler("euler"), gaussian_consistency(kDeviation), {sigmas[0], 0});
  const auto error = [&](std::string_view sampler) {
    return (sample_gaussian(find_sampler(sampler), denoise, sigmas) - exact)
        .abs()
        .mean()
        .item<double>();
  };
  const double first_order = error("euler");
  for (const auto* name : {"heun", "dpm_2", "lms", "dpmpp_2m", "ipndm", "ipndm_v", "deis", "uni_pc",
                           "uni_pc_bh2", "res_multistep", "plms", "dpm_fast"}) {
    EXPECT_LT(error(name), 0.3 * first_order) << name;
  }
}

TEST(Samplers, WithoutNoiseTheStochasticOnesAreTheirOdes) {
  const auto sigmas = make_sigmas("normal", kSdxl, 10);
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  const auto without_noise = [&](std::string_view name) {
    SamplerRow row = find_sampler(name);
    row.defaults.eta = 0;
    return sample_gaussian(row, denoise, sigmas);
  };
  const auto plain = [&](std::string_view name) {
    return sample_gaussian(find_sampler(name), denoise, sigmas);
  };
  EXPECT_TRUE(torch::equal(without_noise("euler_ancestral"), plain("euler")));
  EXPECT_TRUE(torch::equal(without_noise("ddim"), plain("euler")));
  EXPECT_TRUE(torch::allclose(without_noise("dpm_2_ancestral"), plain("dpm_2")));
  EXPECT_TRUE(torch::allclose(without_noise("dpmpp_2m_sde"), plain("dpmpp_2m"), 1e-4, 1e-5));
}

TEST(Samplers, OneStepReturnsTheEstimate) {
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  const Tensor x = make_torch_noise(3)({1, 4, 8, 8});
  const Tensor estimate = denoise(x, torch::full({1}, 2.0, torch::kFloat64));
  for (const auto& row : sampler_rows()) {
    if (row.name == "tcd" || row.name.starts_with("dpm_")) continue;  // end above or beside sigma 0
    const Tensor result = run_sampler(row, denoise, x, {2.0, 0.0}, noise_of_seed(1));
    EXPECT_TRUE(torch::equal(result, estimate)) << row.name;
  }
}

TEST(Samplers, KeepFloat32AndCallAsOftenAsTheirRowSays) {
  const auto sigmas = make_sigmas("dmd2", kSdxl, 4);
  for (const auto& row : sampler_rows()) {
    int calls = 0;
    const Denoiser denoise = [&](const Tensor& x, const Tensor& sigma) {
      EXPECT_EQ(x.scalar_type(), torch::kFloat32) << row.name;
      EXPECT_EQ(sigma.scalar_type(), torch::kFloat64) << row.name;
      EXPECT_EQ(sigma.size(0), 2) << row.name;
      ++calls;
      return x * 0.5;
    };
    run_sampler(row, denoise, torch::ones({2, 4, 2, 2}), sigmas, noise_of_seed(1));
    if (row.name == "dpm_adaptive") continue;  // as many as the error asks for
    EXPECT_LE(calls, 4 * row.needs.calls_per_step + (row.name == "plms" ? 1 : 0)) << row.name;
    EXPECT_GE(calls, row.needs.calls_per_step == 1 ? 4 : 7) << row.name;
  }
}

TEST(Samplers, OnlyThoseThatSaySoDrawNoise) {
  for (const auto& row : sampler_rows()) {
    int draws = 0;
    const StepNoise noise = [&](const Tensor& like, double, double) {
      ++draws;
      return torch::zeros_like(like);
    };
    run_sampler(row, gaussian_denoiser(kDeviation), torch::ones({1, 4, 2, 2}),
                make_sigmas("dmd2", kSdxl, 4), noise);
    const bool is_stochastic = row.needs.noise != NoiseKind::kNone && row.defaults.eta > 0;
    const int fewest = is_stochastic && row.name != "restart" ? 2 : 0;
    EXPECT_GE(draws, fewest) << row.name;
    EXPECT_LE(draws, row.needs.noise == NoiseKind::kNone ? 0 : 12) << row.name;
  }
}

TEST(Samplers, AStochasticOneWithoutNoiseSaysSo) {
  EXPECT_THROW(run_sampler(find_sampler("lcm"), gaussian_denoiser(1), torch::ones({1, 4, 2, 2}),
                           {2.0, 1.0, 0.0}, nullptr),
               Error);
}

TEST(Samplers, ACfgPlusPlusOneWithoutTheOtherEstimateSaysSo) {
  const std::vector<double> sigmas = {2.0, 1.0, 0.0};
  const Denoiser denoise = gaussian_denoiser(1);
  const SamplerRun run{denoise, sigmas, kSdxl, {}, {}, {}};
  EXPECT_THROW(sample(find_sampler("euler_cfg_pp"), run, torch::ones({1, 4, 2, 2})), Error);
}

TEST(Samplers, ABatchEqualsItsImagesOneByOne) {
  const auto sigmas = make_sigmas("dmd2", kSdxl, 4);
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  for (const auto& row : sampler_rows()) {
    if (row.name == "dpm_adaptive") continue;  // one error for the whole batch
    const auto run = [&](const NoiseSource& noise, int64_t batch) {
      const Tensor start = noise({batch, 4, 8, 8});
      return run_sampler(row, denoise, start * sigmas[0], sigmas, noise_like(noise));
    };
    const Tensor both = run(make_batch_noise({make_torch_noise(7), make_torch_noise(8)}), 2);
    EXPECT_TRUE(torch::allclose(both[0], run(make_torch_noise(7), 1)[0])) << row.name;
    EXPECT_TRUE(torch::allclose(both[1], run(make_torch_noise(8), 1)[0])) << row.name;
  }
}

TEST(Restart, RepeatsAStretchFromTwentyStepsUp) {
  const auto rises = [](int steps) {
    const auto levels = restart_levels(make_sigmas("karras", kSdxl, steps));
    int count = 0;
    for (size_t i = 1; i < levels.size(); ++i) count += levels[i] > levels[i - 1] ? 1 : 0;
    return count;
  };
  EXPECT_EQ(rises(19), 0);
  EXPECT_EQ(rises(20), 1);
  EXPECT_EQ(rises(36), 2);
}

TEST(RunSteps, ReportsEveryStepWithItsEstimate) {
  const std::vector<double> sigmas = {3, 2, 1, 0};
  std::vector<double> seen;
  const auto on_step = [&](const StepReport& report) {
    EXPECT_EQ(report.step, static_cast<int64_t>(seen.size()));
    EXPECT_EQ(report.num_steps, 3);
    EXPECT_TRUE(report.denoised.defined());
    seen.push_back(report.sigma);
  };
  run_sampler(find_sampler("euler"), gaussian_denoiser(1), torch::ones({1, 4, 2, 2}), sigmas, {},
              on_step);
  EXPECT_EQ(seen, (std::vector<double>{3, 2, 1}));
}

TEST(RunSteps, OnStepCanCancel) {
  int calls = 0;
  const Denoiser denoise = [&](const Tensor& x, const Tensor&) {
    ++calls;
    return x;
  };
  const auto on_step = [](const StepReport& report) {
    if (report.step == 1) throw Cancelled();
  };
  EXPECT_THROW(run_sampler(find_sampler("euler"), denoise, torch::ones({1, 4, 2, 2}), {3, 2, 1, 0},
                           {}, on_step),
               Cancelled);
  EXPECT_EQ(calls, 2);
}

TEST(RunSteps, RefusesSigmasThatDoNotFall) {
  using List = std::vector<double>;
  for (const List& sigmas :
       {List{1, 1, 0}, List{1, 2, 0}, List{1, -1}, List{NAN, 0}, List{INFINITY, 1}}) {
    EXPECT_THROW(run_sampler(find_sampler("euler"), gaussian_denoiser(1), torch::ones({1, 4, 2, 2}),
                             sigmas, {}),
                 Error);
  }
}

TEST(RunSteps, NothingToDoReturnsTheLatent) {
  const Tensor x = torch::rand({1, 4, 2, 2});
  for (const auto& sigmas : {std::vector<double>{}, std::vector<double>{1.5}}) {
    EXPECT_TRUE(
        torch::equal(run_sampler(find_sampler("euler"), gaussian_denoiser(1), x, sigmas, {}), x));
  }
}

TEST(AncestralSplit, KeepsTheVarianceOfTheTarget) {
  for (const double eta : {0.0, 0.3, 1.0, 5.0}) {
    const auto [down, up] = ancestral_split(2.0, 1.2, eta);
    EXPECT_NEAR(down * down + up * up, 1.44, 1e-12) << eta;
  }
  EXPECT_EQ(ancestral_split(2.0, 1.2, 0).sigma_up, 0);
}

TEST(SamplerRows, AClassOfDiffusersWithItsSettingsMeansOneSampler) {
  std::set<std::string> alone, with_settings;
  for (const SamplerRow& row : sampler_rows()) {
    const std::string name(row.diffusers.name()), settings(row.diffusers.settings);
    if (!row.diffusers.exists()) continue;
    EXPECT_TRUE(!row.diffusers.by_default || alone.insert(name).second) << row.name;
    EXPECT_TRUE(settings.empty() || with_settings.insert(name + settings).second) << row.name;
  }
}

TEST(SamplerRows, WhatCountsTwoCallsMakesTwo) {
  for (const SamplerRow& row : sampler_rows()) {
    EXPECT_TRUE(!row.a1111.two_calls || row.needs.calls_per_step == 2) << row.name;
  }
}

TEST(FindSampler, TakesAnySpelling) {
  EXPECT_EQ(find_sampler("euler_a").name, "euler_ancestral");
  EXPECT_EQ(find_sampler("DPM++ 2M").name, "dpmpp_2m");
  EXPECT_THROW(find_sampler("eluer"), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
