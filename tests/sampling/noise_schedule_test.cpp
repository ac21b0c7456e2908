#include "sampling/noise_schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::max_relative_error;
using testing::numbers;

constexpr double kF64 = 1e-9, kF32 = 2e-6;

template <typename Function>
std::vector<double> mapped(const json& list, const Function& function) {
  auto values = numbers(list);
  for (double& value : values) value = function(value);
  return values;
}

void check_tables(const NoiseSchedule& sdxl, const std::string& name, const json& c) {
  if (name == "betas") {
    double last = 1;
    const auto betas = mapped(json(sdxl.alphas_cumprod), [&](double alpha_bar) {
      return 1 - alpha_bar / std::exchange(last, alpha_bar);
    });
    EXPECT_LE(max_relative_error(betas, numbers(c["f64"])), kF64);
  } else if (name == "log_sigmas") {
    const auto logs = mapped(json(sdxl.sigmas), [](double sigma) { return std::log(sigma); });
    EXPECT_LE(max_absolute_error(logs, numbers(c["f64"])), kF64);
  } else if (name == "alphas_cumprod") {
    EXPECT_LE(max_relative_error(sdxl.alphas_cumprod, numbers(c["f64"])), kF64);
  } else if (name == "sigmas") {
    EXPECT_LE(max_relative_error(sdxl.sigmas, numbers(c["f64"])), kF64);
    EXPECT_LE(max_relative_error(sdxl.sigmas, numbers(c["f32"])), kF32);
  } else if (name == "zsnr_sigmas") {
    const auto stretched = with_zero_terminal_snr(sdxl).sigmas;
    EXPECT_LE(max_relative_error(stretched, numbers(c["sigmas_f64"])), kF64);
    EXPECT_LE(max_relative_error(stretched, numbers(c["sigmas_f32"])), kF32);
  }
}

void check_conversions(const NoiseSchedule& sdxl, const std::string& name, const json& c) {
  if (name == "sigma_to_t") {
    const auto nearest = mapped(c["sigma"], [&](double s) { return nearest_timestep(sdxl, s); });
    EXPECT_EQ(nearest, numbers(c["nearest_comfyui"]));
    EXPECT_EQ(nearest, numbers(c["quantized_kdiffusion"]));
    const auto fractional =
        mapped(c["sigma"], [&](double s) { return interpolated_timestep(sdxl, s); });
    EXPECT_LE(max_absolute_error(fractional, numbers(c["interp_kdiffusion_f64"])), 1e-6);
  } else if (name == "t_to_sigma_comfyui") {
    const auto sigmas = mapped(c["t"], [&](double t) { return sigma_from_timestep(sdxl, t); });
    EXPECT_LE(max_relative_error(sigmas, numbers(c["sigma_f64"])), kF64);
  } else if (name == "percent_to_sigma_comfyui") {
    const auto sigmas = mapped(c["percent"], [&](double p) { return sigma_from_percent(sdxl, p); });
    EXPECT_LE(max_relative_error(sigmas, numbers(c["sigma_f32"])), kF32);
  } else if (name == "dmd2") {
    const auto sigmas =
        mapped(c["timesteps"], [&](double t) { return sigma_from_timestep(sdxl, t); });
    EXPECT_LE(max_relative_error(sigmas, numbers(c["sigma_f64"])), kF64);
    const auto alphas = mapped(c["timesteps"], [&](double t) { return sdxl.alphas_cumprod[t]; });
    EXPECT_LE(max_relative_error(alphas, numbers(c["alphas_cumprod_f64"])), kF64);
  }
}

TEST(GoldenNoiseSchedule, EqualsComfyUiAndKDiffusion) {
  const auto golden = testing::load_golden("model_sdxl.json");
  if (!golden) GTEST_SKIP() << "model_sdxl.json is not there";
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  const std::set<std::string> tables = {"betas", "log_sigmas", "alphas_cumprod", "sigmas",
                                        "zsnr_sigmas"};
  const std::set<std::string> conversions = {"sigma_to_t", "t_to_sigma_comfyui",
                                             "percent_to_sigma_comfyui", "dmd2"};
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    const std::string name = c["name"];
    SCOPED_TRACE(name);
    check_tables(sdxl, name, c);
    check_conversions(sdxl, name, c);
    (tables.count(name) || conversions.count(name) ? checked : skipped) += 1;
  }
  testing::report_golden("model_sdxl.json (tables)", checked, skipped);
}

TEST(NoiseSchedule, TimestepAndSigmaInvertEachOther) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  for (const double t : {0.0, 0.5, 249.0, 399.25, 749.0, 998.99, 999.0}) {
    EXPECT_NEAR(interpolated_timestep(sdxl, sigma_from_timestep(sdxl, t)), t, 1e-9);
    EXPECT_NEAR(nearest_timestep(sdxl, sigma_from_timestep(sdxl, t)), t, 0.5 + 1e-9);
  }
}

TEST(NoiseSchedule, WholeTimestepsGiveTheTablesOwnNumbers) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  for (size_t t = 0; t < sdxl.sigmas.size(); ++t) {
    ASSERT_EQ(sigma_from_timestep(sdxl, t), sdxl.sigmas[t]);
    ASSERT_EQ(nearest_timestep(sdxl, sdxl.sigmas[t]), t);
    ASSERT_EQ(interpolated_timestep(sdxl, sdxl.sigmas[t]), t);
  }
}

TEST(NoiseSchedule, ZeroTerminalSnrKeepsTheLowEnd) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule(), stretched = with_zero_terminal_snr(sdxl);
  EXPECT_NEAR(stretched.sigma_min(), sdxl.sigma_min(), 1e-12);
  EXPECT_NEAR(stretched.sigma_max(), 4518.7637, 1e-3);
}

TEST(NoiseSchedule, DiffusersTableIsTheSameUpToFloat32) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule(), rounded = make_diffusers_noise_schedule();
  EXPECT_LE(max_relative_error(rounded.sigmas, sdxl.sigmas), 3e-5);
  EXPECT_NEAR(with_zero_terminal_snr(rounded, kDiffusersLastAlphaBar).sigma_max(), 4096, 1e-3);
}

TEST(NoiseSchedule, RefusesNoiseLevelsThatHaveNoTimestep) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  EXPECT_THROW(nearest_timestep(sdxl, 0), Error);
  EXPECT_THROW(interpolated_timestep(sdxl, -1), Error);
  EXPECT_THROW(nearest_timestep(sdxl, std::nan("")), Error);
}

}  // namespace
}  // namespace fourstep
