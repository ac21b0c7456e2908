#include "pipeline/diffusers_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/toy_sampling.h"
#include "request/request.h"
#include "sampling/timestep_lists.h"
#include "support/golden.h"

namespace fourstep {
namespace {

const NoiseSchedule kTable = make_diffusers_noise_schedule();

SamplingPlan diffusers_plan(const std::string& sampler, const std::string& schedule, int steps) {
  Request request;
  request.sampling.dialect = Dialect::kDiffusers;
  request.sampling.sampler = sampler;
  request.sampling.schedule = schedule;
  request.sampling.steps = steps;
  return plan_sampling(resolve(request, {}).sampling, kTable);
}

std::vector<double> told(const SamplingPlan& plan) {
  std::vector<double> timesteps;
  for (size_t i = 0; i + 1 < plan.sigmas.size(); ++i) {
    timesteps.push_back(plan.timestep_of(plan.sigmas[i]));
  }
  return timesteps;
}

TEST(GoldenSchedulers, EndWhereThoseOfDiffusersEnd) {
  constexpr double kTolerance = 5e-5;  // of float32 states, of the largest number or 1
  constexpr double kZeroSnrTolerance =
      2e-3;  // there the highest levels are differences of like numbers
  const char* file = "schedulers_diffusers.json";
  const auto golden = testing::load_golden(file);
  if (!golden) GTEST_SKIP() << file << " is not there";
  const auto every = (*golden)["meta"]["every"].get<int64_t>();
  size_t checked = 0;
  for (const auto& c : (*golden)["cases"]) {
    const Request request = request_from_json(c["request"]);
    const Tensor latent = testing::sample_toy(request).flatten();
    const auto expected = testing::numbers(c["latent"]);
    double largest = 1;
    for (const double value : expected) largest = std::max(largest, std::abs(value));
    const double tolerance =
        request.networks.zero_snr.value_or(false) ? kZeroSnrTolerance : kTolerance;
    const auto got = testing::to_doubles(latent.slice(0, 0, latent.numel(), every));
    EXPECT_LE(testing::max_absolute_error(got, expected), tolerance * largest)
        << c["scheduler"].get<std::string>();
    ++checked;
  }
  testing::report_golden(file, checked, 0);
}

TEST(DiffusersPlan, DdimAndPndmGoByTheirStrideWhereTheListIsSpaced) {
  EXPECT_EQ(diffusers_plan("ddim", "trailing", 7).settings.timestep_stride, 142);
  EXPECT_EQ(diffusers_plan("plms", "leading", 13).settings.timestep_stride, 76);
  EXPECT_EQ(diffusers_plan("ddpm", "trailing", 7).settings.timestep_stride, 0) << "to the next one";
  EXPECT_EQ(diffusers_plan("ddim", "simple", 7).settings.timestep_stride, 0);
  Request request;
  request.sampling.dialect = Dialect::kDiffusers;
  request.sampling.sampler = "ddim";
  request.sampling.schedule = "trailing";
  request.sampling.steps = 3;
  request.sampling.timesteps = {999, 700, 300};
  EXPECT_EQ(plan_sampling(resolve(request, {}).sampling, kTable).settings.timestep_stride, 0);
}

TEST(DiffusersPlan, DdimOnLinspaceIsThereAtTimestep0) {
  // np.linspace(0, 999, 7).round(): the call at timestep 0 would lead from its level to the same.
  const SamplingPlan plan = diffusers_plan("ddim", "linspace", 7);
  EXPECT_EQ(told(plan), (std::vector<double>{999, 832, 666, 500, 333, 166}));
  EXPECT_EQ(plan.sigmas.back(), kTable.sigma_min());
}

TEST(DiffusersPlan, TheNetworkIsToldTheSchedulersTimesteps) {
  const std::vector<double> euler = told(diffusers_plan("euler", "linspace", 7));
  EXPECT_EQ(euler[1], 832.5) << "fractional";
  EXPECT_EQ(told(diffusers_plan("heun", "trailing", 7))[1], 856);
  // set_timesteps(8) with use_karras_sigmas, steps_offset 1 and leading spacing.
  EXPECT_EQ(told(diffusers_plan("dpmpp_2m", "karras", 8)),
            (std::vector<double>{999, 890, 746, 549, 299, 90, 12, 0}));
  const SamplingPlan kdpm2 = diffusers_plan("dpm_2", "karras", 8);
  EXPECT_EQ(std::floor(told(kdpm2)[1]), told(kdpm2)[1]) << "whole";
  const double middle = std::sqrt(kdpm2.sigmas[1] * kdpm2.sigmas[2]);
  EXPECT_NEAR(kdpm2.timestep_of(middle), interpolated_timestep(kTable, middle), 1e-3);
  const double between = std::sqrt(kTable.sigmas[500] * kTable.sigmas[501]);
  EXPECT_EQ(diffusers_told_timestep(kTable, between * 1.001, SolverKind::kMultistep, Remap::kBeta),
            500)
      << "cut";
}

TEST(DiffusersPlan, SpacingsThatASchedulerLacksAreRefused) {
  EXPECT_THROW(diffusers_plan("dpmpp_2s", "trailing", 7), InvalidRequest);
  EXPECT_EQ(told(diffusers_plan("dpmpp_2s", "linspace", 3)), (std::vector<double>{999, 666, 333}));
}

TEST(DiffusersPlan, ListsThatReachTimestep0EndThere) {
  const SamplingPlan plain = diffusers_plan("deis", "trailing", 7);
  EXPECT_EQ(plain.sigmas.size(), 8u);
  EXPECT_EQ(plain.settings.last_step, LastStep::kFirstOrder);
  EXPECT_EQ(diffusers_plan("deis", "trailing", 20).settings.last_step, LastStep::kFormula);
  const SamplingPlan karras = diffusers_plan("deis", "karras", 7);
  EXPECT_EQ(karras.sigmas.size(), 7u) << "its last level stands there twice";
  EXPECT_EQ(karras.settings.last_step, LastStep::kFormula);
}

TEST(DiffusersPlan, NoiseIsThatOfTheScheduler) {
  EXPECT_EQ(diffusers_plan("dpmpp_2m_sde", "karras", 7).sampler.needs.noise, NoiseKind::kFresh);
  EXPECT_EQ(diffusers_plan("dpmpp_sde", "karras", 7).sampler.needs.noise, NoiseKind::kBrownian);
  EXPECT_EQ(diffusers_plan("heun", "linspace", 7).noise_scale, NoiseScale::kSigma);
  EXPECT_EQ(diffusers_plan("heun", "karras", 7).noise_scale, NoiseScale::kUnitVariance)
      << "its spacing is still leading";
}

}  // namespace
}  // namespace fourstep
