#include "sampling/samplers.h"

#include <gtest/gtest.h>

#include <cmath>
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

SamplerOptions options_with_seed(uint64_t seed) {
  SamplerOptions options;
  options.noise = noise_like(make_torch_noise(seed));
  return options;
}

/// The sampler's result from the noisy state that Gaussian data of kDeviation have at sigmas[0].
Tensor sample_gaussian(std::string_view sampler, const Denoiser& denoise,
                       const std::vector<double>& sigmas, double eta = 1) {
  const Tensor unit = make_torch_noise(1)({2, 4, 64, 64});
  SamplerOptions options = options_with_seed(2);
  options.eta = eta;
  const Tensor x = unit * std::hypot(kDeviation, sigmas.front());
  return find_sampler(sampler).function(denoise, x, sigmas, options, nullptr);
}

double deviation_of(const Tensor& x) { return x.std().item<double>(); }

TEST(Samplers, EveryOneReturnsTheDeviationOfGaussianData) {
  const auto sigmas = make_sigmas("karras", kSdxl, 200);
  for (const auto& row : sampler_rows()) {
    // LCM wants a consistency function: with the posterior mean it would shrink the data at every step.
    const bool is_lcm = row.name == "lcm";
    const Denoiser denoise =
        is_lcm ? gaussian_consistency(kDeviation) : gaussian_denoiser(kDeviation);
    const double tolerance = 0.02;  // first-order error of 200 steps; the sampling error is 0.003
    EXPECT_NEAR(deviation_of(sample_gaussian(row.name, denoise, sigmas)), kDeviation, tolerance)
        << row.name;
  }
}

TEST(Samplers, LcmIsExactForAConsistencyFunctionInFourSteps) {
  const auto sigmas = make_sigmas("dmd2", kSdxl, 4);
  const Tensor x0 = sample_gaussian("lcm", gaussian_consistency(kDeviation), sigmas);
  EXPECT_NEAR(deviation_of(x0), kDeviation, 0.012);  // four standard errors of 32768 values
}

TEST(Samplers, Dpmpp2mIsMoreAccurateThanEulerForTheSameCalls) {
  const auto sigmas = make_sigmas("karras", kSdxl, 20);
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  const Tensor exact = sample_gaussian("euler", gaussian_consistency(kDeviation), {sigmas[0], 0});
  const auto error = [&](std::string_view sampler) {
    return (sample_gaussian(sampler, denoise, sigmas) - exact).abs().mean().item<double>();
  };
  EXPECT_LT(error("dpmpp_2m"), 0.3 * error("euler"));
}

TEST(Samplers, EulerAncestralWithEtaZeroEqualsEuler) {
  const auto sigmas = make_sigmas("normal", kSdxl, 10);
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  EXPECT_TRUE(torch::equal(sample_gaussian("euler_ancestral", denoise, sigmas, /*eta=*/0),
                           sample_gaussian("euler", denoise, sigmas)));
}

TEST(Samplers, OneStepReturnsTheEstimate) {
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  const Tensor x = make_torch_noise(3)({1, 4, 8, 8});
  const Tensor estimate = denoise(x, torch::full({1}, 2.0, torch::kFloat64));
  for (const auto& row : sampler_rows()) {
    const Tensor result =
        row.function(denoise, x, std::vector<double>{2.0, 0.0}, options_with_seed(1), nullptr);
    EXPECT_TRUE(torch::equal(result, estimate)) << row.name;
  }
}

TEST(Samplers, KeepFloat32AndCallOncePerStep) {
  const auto sigmas = make_sigmas("dmd2", kSdxl, 4);
  for (const auto& row : sampler_rows()) {
    int calls = 0;
    const Denoiser denoise = [&](const Tensor& x, const Tensor& sigma) {
      EXPECT_EQ(x.scalar_type(), torch::kFloat32) << row.name;
      EXPECT_EQ(sigma.scalar_type(), torch::kFloat64) << row.name;
      EXPECT_EQ(sigma[1].item<double>(), sigmas[calls]) << row.name;
      ++calls;
      return x * 0.5;
    };
    row.function(denoise, torch::ones({2, 4, 2, 2}), sigmas, options_with_seed(1), nullptr);
    EXPECT_EQ(calls, 4) << row.name;
  }
}

TEST(Samplers, OnlyStochasticOnesDrawNoise) {
  for (const auto& row : sampler_rows()) {
    int draws = 0;
    SamplerOptions options;
    options.noise = [&](const Tensor& like) {
      ++draws;
      return torch::zeros_like(like);
    };
    const Denoiser denoise = gaussian_denoiser(kDeviation);
    row.function(denoise, torch::ones({1, 4, 2, 2}), make_sigmas("dmd2", kSdxl, 4), options,
                 nullptr);
    EXPECT_EQ(draws, row.is_stochastic ? 3 : 0) << row.name;
  }
}

TEST(Samplers, AStochasticOneWithoutNoiseSaysSo) {
  EXPECT_THROW(sample_lcm(gaussian_denoiser(1), torch::ones({1, 4, 2, 2}),
                          std::vector<double>{2.0, 1.0, 0.0}, SamplerOptions(), nullptr),
               Error);
}

TEST(Samplers, ABatchEqualsItsImagesOneByOne) {
  const auto sigmas = make_sigmas("dmd2", kSdxl, 4);
  const Denoiser denoise = gaussian_denoiser(kDeviation);
  const auto run = [&](const NoiseSource& noise, int64_t batch) {
    SamplerOptions options;
    options.noise = noise_like(noise);
    const Tensor start = noise({batch, 4, 8, 8});
    return sample_euler_ancestral(denoise, start * sigmas[0], sigmas, options, nullptr);
  };
  const Tensor both = run(make_batch_noise({make_torch_noise(7), make_torch_noise(8)}), 2);
  EXPECT_TRUE(torch::allclose(both[0], run(make_torch_noise(7), 1)[0]));
  EXPECT_TRUE(torch::allclose(both[1], run(make_torch_noise(8), 1)[0]));
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
  sample_euler(gaussian_denoiser(1), torch::ones({1, 4, 2, 2}), sigmas, {}, on_step);
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
  EXPECT_THROW(sample_euler(denoise, torch::ones({1, 4, 2, 2}), std::vector<double>{3, 2, 1, 0}, {},
                            on_step),
               Cancelled);
  EXPECT_EQ(calls, 2);
}

TEST(RunSteps, RefusesSigmasThatDoNotFall) {
  using List = std::vector<double>;
  for (const List& sigmas :
       {List{1, 1, 0}, List{1, 2, 0}, List{1, -1}, List{NAN, 0}, List{INFINITY, 1}}) {
    EXPECT_THROW(sample_euler(gaussian_denoiser(1), torch::ones({1, 4, 2, 2}), sigmas, {}, nullptr),
                 Error);
  }
}

TEST(RunSteps, NothingToDoReturnsTheLatent) {
  const Tensor x = torch::rand({1, 4, 2, 2});
  for (const auto& sigmas : {std::vector<double>{}, std::vector<double>{1.5}}) {
    EXPECT_TRUE(torch::equal(sample_euler(gaussian_denoiser(1), x, sigmas, {}, nullptr), x));
  }
}

TEST(AncestralSplit, KeepsTheVarianceOfTheTarget) {
  for (const double eta : {0.0, 0.3, 1.0, 5.0}) {
    const auto [down, up] = ancestral_split(2.0, 1.2, eta);
    EXPECT_NEAR(down * down + up * up, 1.44, 1e-12) << eta;
  }
  EXPECT_EQ(ancestral_split(2.0, 1.2, 0).sigma_up, 0);
}

TEST(FindSampler, AnUnknownNameListsTheKnownOnes) {
  try {
    find_sampler("euler_a");
    FAIL() << "no error";
  } catch (const InvalidRequest& error) {
    EXPECT_STREQ(error.what(),
                 "sampler \"euler_a\" is not known; known: lcm, euler, euler_ancestral, dpmpp_2m");
  }
}

}  // namespace
}  // namespace fourstep
