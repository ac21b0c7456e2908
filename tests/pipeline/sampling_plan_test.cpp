#include "pipeline/sampling_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/error.h"
#include "base/noise.h"

namespace fourstep {
namespace {

const NoiseSchedule kSdxl = make_sdxl_noise_schedule();

ResolvedSampling sampling_with(Dialect dialect, const std::string& sampler,
                               const std::string& schedule) {
  ResolvedSampling sampling;
  sampling.dialect = dialect;
  sampling.sampler = sampler;
  sampling.schedule = schedule;
  sampling.steps = 8;
  sampling.eta = find_sampler(sampler).defaults.eta;
  return sampling;
}

TEST(SamplingPlan, TheFirstNoiseIsScaledAsInEachProgram) {
  const auto scale = [](Dialect dialect, const char* sampler, const char* schedule) {
    return plan_sampling(sampling_with(dialect, sampler, schedule), kSdxl).noise_scale;
  };
  EXPECT_EQ(scale(Dialect::kFourstep, "lcm", "dmd2"), NoiseScale::kUnitVariance);
  EXPECT_EQ(scale(Dialect::kComfy, "euler", "karras"), NoiseScale::kUnitVariance);  // at sigma_max
  EXPECT_EQ(scale(Dialect::kComfy, "euler", "ddim_uniform"), NoiseScale::kSigma);   // below it
  EXPECT_EQ(scale(Dialect::kA1111, "euler", "karras"), NoiseScale::kSigma);
  EXPECT_EQ(scale(Dialect::kDiffusers, "euler", "trailing"), NoiseScale::kSigma);
  EXPECT_EQ(scale(Dialect::kDiffusers, "euler", "leading"), NoiseScale::kUnitVariance);
  EXPECT_EQ(scale(Dialect::kDiffusers, "lcm", "lcm"), NoiseScale::kUnitVariance);
}

TEST(SamplingPlan, SettingsAreTheSamplersOwnUnlessGiven) {
  ResolvedSampling asked = sampling_with(Dialect::kFourstep, "tcd", "dmd2");
  EXPECT_EQ(plan_sampling(asked, kSdxl).settings.eta, 0.3);
  asked.eta = 0.7;
  asked.s_churn = 2;
  const SamplerSettings settings = plan_sampling(asked, kSdxl).settings;
  EXPECT_EQ(settings.eta, 0.7);
  EXPECT_EQ(settings.s_churn, 2);
  EXPECT_EQ(settings.last_step, LastStep::kEstimate);
  asked.dialect = Dialect::kA1111;
  EXPECT_EQ(plan_sampling(asked, kSdxl).settings.last_step, LastStep::kFormula);
}

TEST(SamplingPlan, DiffusersSpacesStepsByTheKindOfScheduler) {
  const auto timesteps = [](const char* sampler) {
    ResolvedSampling asked = sampling_with(Dialect::kDiffusers, sampler, "leading");
    asked.steps = 4;
    std::vector<double> list;
    for (const double sigma : plan_sampling(asked, kSdxl).sigmas) {
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
  const SamplingPlan ddim =
      plan_sampling(sampling_with(Dialect::kDiffusers, "ddim", "leading"), kSdxl);
  EXPECT_EQ(ddim.sigmas.back(), kSdxl.sigma_min());
  EXPECT_DOUBLE_EQ(ddim.output_scale, 1 / std::hypot(1, kSdxl.sigma_min()));
  const SamplerSettings uni_pc =
      plan_sampling(sampling_with(Dialect::kDiffusers, "uni_pc_bh2", "leading"), kSdxl).settings;
  EXPECT_EQ(uni_pc.order, 2);
  EXPECT_EQ(uni_pc.last_step, LastStep::kEstimate);
  EXPECT_EQ(plan_sampling(sampling_with(Dialect::kComfy, "uni_pc_bh2", "simple"), kSdxl)
                .settings.last_step,
            LastStep::kFormula);
}

TEST(SamplingPlan, NoiseLevelsAreRoundedAsInTheDialect) {
  EXPECT_EQ(noise_schedule_of(Dialect::kDiffusers, false).sigmas,
            make_diffusers_noise_schedule().sigmas);
  EXPECT_NEAR(noise_schedule_of(Dialect::kDiffusers, true).sigma_max(), 4096, 1);
  EXPECT_NEAR(noise_schedule_of(Dialect::kComfy, true).sigma_max(), 4518.76, 0.01);
  EXPECT_EQ(noise_schedule_of(Dialect::kComfy, false).sigmas, kSdxl.sigmas);
}

TEST(SamplingPlan, OneNameIsAnotherListInAnotherDialect) {
  const auto sigmas = [](Dialect dialect) {
    return plan_sampling(sampling_with(dialect, "euler", "beta"), kSdxl).sigmas;
  };
  EXPECT_EQ(sigmas(Dialect::kFourstep), sigmas(Dialect::kComfy));
  EXPECT_NE(sigmas(Dialect::kFourstep), sigmas(Dialect::kA1111));
}

TEST(SamplingPlan, A1111sTimestepSamplersHaveListsOfTheirOwn) {
  const SamplingPlan plan = plan_sampling(sampling_with(Dialect::kA1111, "ddim", "karras"), kSdxl);
  EXPECT_EQ(plan.sigmas.front(), kSdxl.sigmas[876]);
  EXPECT_EQ(plan.sigmas.back(), kSdxl.sigmas[1]);
  EXPECT_EQ(plan.noise_scale, NoiseScale::kUnitVariance);
  EXPECT_DOUBLE_EQ(plan.output_scale, std::sqrt(kSdxl.alphas_cumprod[1]));
  EXPECT_EQ(plan_sampling(sampling_with(Dialect::kA1111, "uni_pc", "karras"), kSdxl).sigmas.size(),
            9u);
  EXPECT_EQ(plan_sampling(sampling_with(Dialect::kComfy, "ddim", "karras"), kSdxl).output_scale, 1);
}

TEST(SamplingPlan, RhoBendsKarras) {
  ResolvedSampling asked = sampling_with(Dialect::kFourstep, "euler", "karras");
  const double usual = plan_sampling(asked, kSdxl).sigmas[4];
  asked.rho = 3;
  EXPECT_GT(plan_sampling(asked, kSdxl).sigmas[4], usual);
}

TEST(SamplingPlan, SomeSamplersLeaveOutTheLastButOneLevel) {
  const auto plain = plan_sampling(sampling_with(Dialect::kComfy, "euler", "karras"), kSdxl).sigmas;
  const auto without =
      plan_sampling(sampling_with(Dialect::kComfy, "dpm_2", "karras"), kSdxl).sigmas;
  EXPECT_EQ(plain.size(), without.size());
  EXPECT_GT(without[7], plain[7]);
}

TEST(SamplingPlan, AScheduleWithoutAStepIsRefused) {
  ResolvedSampling asked = sampling_with(Dialect::kFourstep, "euler", "laplace");
  asked.steps = 1;
  EXPECT_THROW(plan_sampling(asked, kSdxl), InvalidRequest);
}

TEST(StepNoise, SdeSamplersFollowTheBrownianPathOfTheSeed) {
  const SamplingPlan plan =
      plan_sampling(sampling_with(Dialect::kFourstep, "dpmpp_2m_sde", "karras"), kSdxl);
  const ImageSeed seeds[] = {{.seed = 5}, {.seed = 6}};
  const NoiseSource stream = make_image_noise(seeds);
  const Tensor like = torch::zeros({2, 4, 8, 8});
  const double from = plan.sigmas[0], to = plan.sigmas[1];
  const auto path = [&](uint64_t seed) {
    return brownian_noise(BrownianPath{seed, plan.sigmas[7], from}, {1, 4, 8, 8}, from, to);
  };
  EXPECT_TRUE(torch::equal(step_noise(plan, seeds, stream)(like, from, to),
                           torch::cat({path(5), path(6)})));
}

}  // namespace
}  // namespace fourstep
