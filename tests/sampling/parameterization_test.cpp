#include "sampling/parameterization.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::max_relative_error;
using testing::numbers;
using testing::to_doubles;

Tensor one_sample(const json& list) {
  return torch::tensor(numbers(list), torch::kFloat64).view({1, 1, 1, -1});
}

Tensor sigmas(std::vector<double> values) { return torch::tensor(values, torch::kFloat64); }

const std::map<std::string, NetworkOutput> kOutputs = {{"eps", NetworkOutput::kEps},
                                                       {"v_prediction", NetworkOutput::kV},
                                                       {"edm", NetworkOutput::kEdm},
                                                       {"x0", NetworkOutput::kX0}};

bool check_prediction(const json& c) {
  const std::string type = c["type"];
  if (!kOutputs.count(type)) return false;
  if (c.value("sigma_data", 1.0) != 1.0) return false;
  const Tensor x = one_sample(c["x"]), output = one_sample(c["model_output"]);
  const Tensor sigma = sigmas({c["sigma"].get<double>()});
  EXPECT_LE(max_relative_error(to_doubles(scale_input(x, sigma)), numbers(c["model_input"])), 1e-9);
  const Tensor denoised = denoised_from_output(kOutputs.at(type), x, output, sigma);
  EXPECT_LE(max_absolute_error(to_doubles(denoised), numbers(c["denoised"])), 1e-9);
  return true;
}

bool check_noise_scaling(const json& c) {
  const auto scale = c["max_denoise"].get<bool>() ? NoiseScale::kUnitVariance : NoiseScale::kSigma;
  const Tensor state =
      initial_state(one_sample(c["latent"]), one_sample(c["noise"]), c["sigma"], scale);
  EXPECT_LE(max_absolute_error(to_doubles(state), numbers(c["out"])), 1e-9);
  return true;
}

TEST(GoldenParameterization, EqualsComfyUi) {
  const auto golden = testing::load_golden("model_sdxl.json");
  if (!golden) GTEST_SKIP() << "model_sdxl.json is not there";
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c.dump().substr(0, 120));
    const bool done = (c["name"] == "prediction" && check_prediction(c)) ||
                      (c["name"] == "noise_scaling" && check_noise_scaling(c));
    (done ? checked : skipped) += 1;
  }
  testing::report_golden("model_sdxl.json (predictions)", checked, skipped);
}

TEST(GoldenParameterization, LcmBoundaryEqualsDiffusers) {
  const auto golden = testing::load_golden("schedules_diffusers.json");
  if (!golden) GTEST_SKIP() << "schedules_diffusers.json is not there";
  size_t checked = 0;
  for (const auto& c : (*golden)["cases"]) {
    if (!c.contains("boundary_scalings")) continue;
    for (const auto& entry : c["boundary_scalings"]) {
      const auto scaling = lcm_boundary_scaling(entry["t"]);
      EXPECT_NEAR(scaling.c_skip, entry["c_skip"].get<double>(), 1e-12);
      EXPECT_NEAR(scaling.c_out, entry["c_out"].get<double>(), 1e-12);
    }
    ++checked;
  }
  testing::report_golden("schedules_diffusers.json (boundary)", checked, 0);
}

/// A network that knows the clean latent and the noise, and answers as `kind` asks.
Network perfect_network(NetworkOutput kind, Tensor x0, Tensor noise, Tensor sigma) {
  return [=](const Tensor& x_scaled, const Tensor&) {
    const Tensor s = sigma.to(x0.scalar_type()).view({-1, 1, 1, 1});
    const Tensor root = (s * s + 1).sqrt();
    EXPECT_TRUE(torch::allclose(x_scaled, (x0 + s * noise) / root));
    if (kind == NetworkOutput::kX0) return x0;
    if (kind == NetworkOutput::kEps) return noise;
    const Tensor v = (noise - s * x0) / root;
    return kind == NetworkOutput::kV ? v : -v;
  };
}

TEST(MakeDenoiser, RecoversTheCleanLatentForEveryKindOfOutput) {
  torch::manual_seed(1);
  const Tensor x0 = torch::randn({2, 4, 3, 5}), noise = torch::randn({2, 4, 3, 5});
  const Tensor sigma = sigmas({14.6146, 0.3});
  const Tensor x = x0 + sigma.to(torch::kFloat).view({-1, 1, 1, 1}) * noise;
  for (const auto& [name, kind] : kOutputs) {
    const Denoiser denoise =
        make_denoiser(perfect_network(kind, x0, noise, sigma), make_sdxl_noise_schedule(), kind);
    const Tensor denoised = denoise(x, sigma);
    EXPECT_EQ(denoised.scalar_type(), torch::kFloat32);
    EXPECT_LE((denoised - x0).abs().max().item<double>(), 1e-5) << name;
  }
}

TEST(MakeDenoiser, TellsTheNetworkTheNearestTimestep) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  Tensor seen;
  const Network network = [&](const Tensor& x, const Tensor& timestep) {
    seen = timestep;
    return x;
  };
  const Tensor sigma = sigmas({sigma_from_timestep(sdxl, 749.25), sigma_from_timestep(sdxl, 20)});
  const Tensor x = torch::zeros({2, 4, 2, 2});
  make_denoiser(network, sdxl, NetworkOutput::kEps)(x, sigma);
  EXPECT_TRUE(torch::equal(seen, torch::tensor({749.0f, 20.0f})));
}

TEST(MakeDenoiser, ConvertsHalfPrecisionOutputInFloat32) {
  // At sigma_max half precision of x - sigma * eps would be off by several units of 1/1024 of 14.6.
  const Tensor eps = torch::full({1, 4, 2, 2}, 0.5, torch::kBFloat16);
  const Tensor x = torch::full({1, 4, 2, 2}, 7.40f);
  const Network network = [&](const Tensor&, const Tensor&) { return eps; };
  const Denoiser denoise = make_denoiser(network, make_sdxl_noise_schedule(), NetworkOutput::kEps);
  const Tensor denoised = denoise(x, sigmas({14.6}));
  EXPECT_EQ(denoised.scalar_type(), torch::kFloat32);
  EXPECT_NEAR(denoised.max().item<double>(), 7.40 - 7.30, 1e-6);
}

TEST(MakeDenoiser, RefusesHalfPrecisionLatents) {
  const Denoiser denoise = make_denoiser([](const Tensor& x, const Tensor&) { return x; },
                                         make_sdxl_noise_schedule(), NetworkOutput::kEps);
  EXPECT_THROW(denoise(torch::zeros({1, 4, 2, 2}, torch::kHalf), sigmas({1})), Error);
  EXPECT_THROW(denoise(torch::zeros({2, 4, 2, 2}), sigmas({1})), Error);
}

TEST(InitialState, ComfyUiScalesToUnitVarianceOnlyAtTheTop) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  EXPECT_EQ(comfyui_noise_scale(sdxl, sdxl.sigma_max()), NoiseScale::kUnitVariance);
  EXPECT_EQ(comfyui_noise_scale(sdxl, 20), NoiseScale::kUnitVariance);
  EXPECT_EQ(comfyui_noise_scale(sdxl, sdxl.sigmas[998]), NoiseScale::kSigma);
}

TEST(InitialState, UnitVarianceShowsTheNetworkUnitNoise) {
  torch::manual_seed(2);
  const Tensor noise = torch::randn({1, 4, 3, 3});
  const double sigma = sigma_from_timestep(make_sdxl_noise_schedule(), 399);
  const Tensor x = initial_state(torch::zeros_like(noise), noise, sigma, NoiseScale::kUnitVariance);
  EXPECT_TRUE(torch::allclose(scale_input(x, sigmas({sigma})), noise, 1e-6, 1e-6));
}

TEST(LcmBoundary, IsNeutralAtTheTimestepsOfFewStepModels) {
  EXPECT_LT(lcm_boundary_scaling(249).c_skip, 1e-7);
  EXPECT_EQ(lcm_boundary_scaling(0).c_skip, 1);
  EXPECT_EQ(lcm_boundary_scaling(0).c_out, 0);
}

}  // namespace
}  // namespace fourstep
