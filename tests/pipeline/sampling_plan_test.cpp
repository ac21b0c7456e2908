#include "pipeline/sampling_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/brownian_noise.h"
#include "base/error.h"

namespace fourstep {
namespace {

const NoiseSchedule kSdxl = make_sdxl_noise_schedule();

Request request_with(const std::string& dialect, const std::string& sampler,
                     const std::string& schedule) {
  Request request;
  request.dialect = dialect;
  request.sampler = sampler;
  request.schedule = schedule;
  request.steps = 8;
  request.seed = 5;
  request.noise = "torch";
  return request;
}

TEST(SamplingPlan, TheFirstNoiseIsScaledAsInEachProgram) {
  const auto scale = [](const char* dialect, const char* sampler, const char* schedule) {
    return plan_sampling(request_with(dialect, sampler, schedule), kSdxl).noise_scale;
  };
  EXPECT_EQ(scale("fourstep", "lcm", "dmd2"), NoiseScale::kUnitVariance);
  EXPECT_EQ(scale("comfyui", "euler", "karras"), NoiseScale::kUnitVariance);  // at sigma_max
  EXPECT_EQ(scale("comfyui", "euler", "ddim_uniform"), NoiseScale::kSigma);   // below it
  EXPECT_EQ(scale("a1111", "euler", "karras"), NoiseScale::kSigma);
  EXPECT_EQ(scale("diffusers", "euler", "trailing"), NoiseScale::kSigma);
  EXPECT_EQ(scale("diffusers", "euler", "leading"), NoiseScale::kUnitVariance);
  EXPECT_EQ(scale("diffusers", "lcm", "lcm"), NoiseScale::kUnitVariance);
}

TEST(SamplingPlan, SettingsAreTheSamplersOwnUnlessGiven) {
  Request request = request_with("fourstep", "tcd", "dmd2");
  EXPECT_EQ(plan_sampling(request, kSdxl).settings.eta, 0.3);
  request.eta = 0.7;
  request.s_churn = 2;
  const SamplerSettings settings = plan_sampling(request, kSdxl).settings;
  EXPECT_EQ(settings.eta, 0.7);
  EXPECT_EQ(settings.s_churn, 2);
  EXPECT_EQ(settings.last_step, LastStep::kEstimate);
  request.dialect = "a1111";
  EXPECT_EQ(plan_sampling(request, kSdxl).settings.last_step, LastStep::kFormula);
}

TEST(SamplingPlan, DiffusersSpacesStepsByTheKindOfScheduler) {
  const auto timesteps = [](const char* sampler) {
    Request request = request_with("diffusers", sampler, "leading");
    request.steps = 4;
    std::vector<double> list;
    for (const double sigma : plan_sampling(request, kSdxl).sigmas) {
      if (sigma > 0) list.push_back(nearest_timestep(kSdxl, sigma));
    }
    return list;
  };
  // What set_timesteps(4) gives with spacing "leading" and offset 1.
  EXPECT_EQ(timesteps("euler"), (std::vector<double>{751, 501, 251, 1}));
  EXPECT_EQ(timesteps("dpmpp_2m"), (std::vector<double>{801, 601, 401, 201}));
  EXPECT_EQ(timesteps("uni_pc_bh2"), (std::vector<double>{801, 601, 401, 201}));
  EXPECT_EQ(timesteps("ddim"), (std::vector<double>{751, 501, 251, 1, 0})) << "ends at timestep 0";
}

TEST(SamplingPlan, DiffusersHasItsOwnEnds) {
  const SamplingPlan ddim = plan_sampling(request_with("diffusers", "ddim", "leading"), kSdxl);
  EXPECT_EQ(ddim.sigmas.back(), kSdxl.sigma_min());
  EXPECT_DOUBLE_EQ(ddim.output_scale, 1 / std::hypot(1, kSdxl.sigma_min()));
  const SamplerSettings uni_pc =
      plan_sampling(request_with("diffusers", "uni_pc_bh2", "leading"), kSdxl).settings;
  EXPECT_EQ(uni_pc.order, 2);
  EXPECT_EQ(uni_pc.last_step, LastStep::kEstimate);
  EXPECT_EQ(
      plan_sampling(request_with("comfyui", "uni_pc_bh2", "simple"), kSdxl).settings.last_step,
      LastStep::kFormula);
}

TEST(SamplingPlan, NoiseLevelsAreRoundedAsInTheDialect) {
  Request request = request_with("diffusers", "euler", "leading");
  EXPECT_EQ(noise_schedule_of(request, false).sigmas, make_diffusers_noise_schedule().sigmas);
  EXPECT_NEAR(noise_schedule_of(request, true).sigma_max(), 4096, 1);
  request.dialect = "comfyui";
  EXPECT_NEAR(noise_schedule_of(request, true).sigma_max(), 4518.76, 0.01);
  request.zero_snr = false;
  EXPECT_EQ(noise_schedule_of(request, true).sigmas, kSdxl.sigmas) << "the request knows better";
}

TEST(SamplingPlan, OneNameIsAnotherListInAnotherDialect) {
  const auto sigmas = [](const char* dialect) {
    return plan_sampling(request_with(dialect, "euler", "beta"), kSdxl).sigmas;
  };
  EXPECT_EQ(sigmas("fourstep"), sigmas("comfyui"));
  EXPECT_NE(sigmas("fourstep"), sigmas("a1111"));
}

TEST(SamplingPlan, A1111sTimestepSamplersHaveListsOfTheirOwn) {
  const SamplingPlan plan = plan_sampling(request_with("a1111", "ddim", "karras"), kSdxl);
  EXPECT_EQ(plan.sigmas.front(), kSdxl.sigmas[876]);
  EXPECT_EQ(plan.sigmas.back(), kSdxl.sigmas[1]);
  EXPECT_EQ(plan.noise_scale, NoiseScale::kUnitVariance);
  EXPECT_DOUBLE_EQ(plan.output_scale, std::sqrt(kSdxl.alphas_cumprod[1]));
  EXPECT_EQ(plan_sampling(request_with("a1111", "uni_pc", "karras"), kSdxl).sigmas.size(), 9u);
  EXPECT_EQ(plan_sampling(request_with("comfyui", "ddim", "karras"), kSdxl).output_scale, 1);
}

TEST(SamplingPlan, RhoBendsKarras) {
  Request request = request_with("fourstep", "euler", "karras");
  const double usual = plan_sampling(request, kSdxl).sigmas[4];
  request.rho = 3;
  EXPECT_GT(plan_sampling(request, kSdxl).sigmas[4], usual);
}

TEST(SamplingPlan, SomeSamplersLeaveOutTheLastButOneLevel) {
  const auto plain = plan_sampling(request_with("comfyui", "euler", "karras"), kSdxl).sigmas;
  const auto without = plan_sampling(request_with("comfyui", "dpm_2", "karras"), kSdxl).sigmas;
  EXPECT_EQ(plain.size(), without.size());
  EXPECT_GT(without[7], plain[7]);
}

TEST(SamplingPlan, AScheduleWithoutAStepIsRefused) {
  Request request = request_with("fourstep", "euler", "laplace");
  request.steps = 1;
  EXPECT_THROW(plan_sampling(request, kSdxl), InvalidRequest);
}

TEST(StepNoise, SdeSamplersFollowTheBrownianPathOfTheSeed) {
  const SamplingPlan plan =
      plan_sampling(request_with("fourstep", "dpmpp_2m_sde", "karras"), kSdxl);
  const ImageSeed seed{.seed = 5};
  const NoiseSource stream = make_image_noise(seed);
  const Tensor like = torch::zeros({1, 4, 8, 8});
  const double from = plan.sigmas[0], to = plan.sigmas[1];
  const Tensor expected =
      brownian_noise(BrownianPath{5, plan.sigmas[7], from}, {1, 4, 8, 8}, from, to);
  EXPECT_TRUE(torch::equal(step_noise(plan, seed, stream)(like, from, to), expected));
}

TEST(ImageSeed, EveryImageHasItsOwn) {
  Request request = request_with("a1111", "euler", "karras");
  request.images = 3;
  EXPECT_EQ(image_seed(single_image(request, 2)).seed, 7u);
  request.variation_seed = 100;
  request.variation_strength = 0.2;
  EXPECT_EQ(image_seed(single_image(request, 2)).seed, 5u);
  EXPECT_EQ(image_seed(single_image(request, 2)).variation_seed, 102u);
  EXPECT_EQ(single_image(request, 2).images, 1);
}

}  // namespace
}  // namespace fourstep
