// The samplers against the reference programs' states at every step, on the toy denoiser.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "sampling/guidance.h"
#include "sampling/parameterization.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "sampling/toy_denoiser.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::numbers;
using testing::to_doubles;
using testing::Toy;

constexpr double kF64 = 1e-8;  // samplers in double
constexpr double kFloat32Lists =
    1e-6;  // references whose sigma lists are float32, at unit variance

bool is_known(const std::string& name) {
  for (const auto& row : sampler_rows()) {
    if (row.name == name) return true;
  }
  return false;
}

/// One golden case in the terms of this engine: states in sigma space.
struct Run {
  std::string sampler;
  SamplerOptions options;
  Denoiser denoise;
  std::vector<double> sigmas;
  Tensor x;
  std::vector<Tensor> states;  ///< x at every call
  Tensor result;
  std::vector<int> noise_rows;         ///< drawn in this order
  bool draws_after_last_step = false;  ///< the reference draws one unused row more
  bool has_float32_sigmas = false;

  /// Absolute tolerance of a state at this noise level.
  double tolerance(double sigma) const {
    return has_float32_sigmas ? kFloat32Lists * std::hypot(1, sigma) : kF64;
  }
};

Tensor variance_exploding(const Tensor& y, double sigma) {
  return y * std::sqrt(1 + sigma * sigma);
}

void expect_near(const Tensor& got, const Tensor& expected, double tolerance,
                 const std::string& what) {
  EXPECT_LE(max_absolute_error(to_doubles(got), to_doubles(expected)), tolerance) << what;
}

void check_run(Run run, const Toy& toy, const json& noise_table) {
  size_t calls = 0, draws = 0;
  const Denoiser counted = [&](const Tensor& x, const Tensor& sigma) {
    EXPECT_LT(calls, run.states.size());
    if (calls < run.states.size()) {
      expect_near(x, run.states[calls], run.tolerance(sigma[0].item<double>()),
                  fmt::format("state of call {}", calls));
    }
    ++calls;
    return run.denoise(x, sigma);
  };
  run.options.noise = [&](const Tensor& like) {
    EXPECT_LT(draws, run.noise_rows.size());
    const int row = draws < run.noise_rows.size() ? run.noise_rows[draws] : 0;
    ++draws;
    return toy.tensor(noise_table[row]).to(like.options());
  };
  const Tensor result =
      find_sampler(run.sampler).function(counted, run.x, run.sigmas, run.options, nullptr);
  expect_near(result, run.result, run.tolerance(run.sigmas.back()), "result");
  EXPECT_EQ(calls, run.states.size());
  EXPECT_EQ(draws + (run.draws_after_last_step ? 1 : 0), run.noise_rows.size());
}

/// Reads the options that samplers have so far; false when the case sets another.
bool read_options(const json& c, const char* key, SamplerOptions& options) {
  if (!c.contains(key)) return true;
  for (const auto& [name, value] : c[key].items()) {
    if (name == "eta") {
      options.eta = value;
    } else if (name == "s_noise") {
      options.s_noise = value;
    } else {
      return false;
    }
  }
  return true;
}

/// Cases of ComfyUI's and Forge's functions, which work in sigma space.
std::optional<Run> run_of_webui_case(const json& c, const Toy& toy) {
  Run run;
  const std::string name = c["sampler"];
  const bool has_boundary = name == "lcm (with boundary scalings)";
  run.sampler = has_boundary ? "lcm" : name;
  if (!is_known(run.sampler) || !c.contains("x_init") || !c.contains("calls")) return std::nullopt;
  if (!read_options(c, "params", run.options)) return std::nullopt;
  run.sigmas = numbers(c["sigmas"]);
  run.x = toy.tensor(c["x_init"]);
  for (const auto& call : c["calls"]) run.states.push_back(toy.tensor(call["x"]));
  for (const auto& noise : c["noise_used"]) run.noise_rows.push_back(noise["row"]);
  run.result = toy.tensor(c["x_final"]);
  run.denoise = toy.cond();
  if (c.contains("cfg_scale")) run.denoise = with_cfg(toy.cond(), toy.uncond(), c["cfg_scale"]);
  if (has_boundary) {
    run.denoise = with_lcm_boundary(toy.cond(), with_distilled_steps(make_sdxl_noise_schedule()),
                                    BoundaryState::kSigmaSpace);
  }
  return run;
}

/// The sampler of ours that a diffusers scheduler is in sigma space; empty for later features.
std::string sampler_of_scheduler(const json& c) {
  const std::string scheduler = c.value("scheduler", ""), label = c["label"];
  const bool is_deterministic = c.contains("step_args") && c["step_args"].value("eta", 1.0) == 0;
  if (scheduler == "LCMScheduler" && c["config"].empty() && c["step_args"].empty()) return "lcm";
  if (scheduler == "EulerDiscreteScheduler") return "euler";
  if (scheduler == "EulerAncestralDiscreteScheduler") return "euler_ancestral";
  if (scheduler == "DPMSolverMultistepScheduler" && label.starts_with("dpmsolver++"))
    return "dpmpp_2m";
  if (scheduler == "TCDScheduler" && is_deterministic) return "euler";
  if (scheduler == "DDIMScheduler" && is_deterministic &&
      c["config"].value("set_alpha_to_one", true) == false) {
    return "euler";
  }
  return "";
}

/// Cases of diffusers' schedulers: their variance-preserving states y are x = y sqrt(1 + sigma^2).
std::optional<Run> run_of_diffusers_case(const json& c, const Toy& toy) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  Run run;
  run.sampler = sampler_of_scheduler(c);
  if (run.sampler.empty()) return std::nullopt;
  if (c.contains("sigmas")) {
    run.sigmas = numbers(c["sigmas"]);
    run.has_float32_sigmas = true;
  } else {
    run.sigmas = sigmas_from_timesteps(sdxl, numbers(c["timesteps"]));
    if (run.sampler == "euler")
      run.sigmas.back() = sdxl.sigma_min();  // DDIM and TCD land on timestep 0
  }
  const bool is_preserving = c.contains("y_init");
  const auto state = [&](const json& values, size_t step) {
    const Tensor tensor = toy.tensor(values);
    return is_preserving ? variance_exploding(tensor, run.sigmas[step]) : tensor;
  };
  run.x = state(c[is_preserving ? "y_init" : "x_init"], 0);
  for (const auto& call : c["calls"]) {
    run.states.push_back(state(call[is_preserving ? "y" : "x"], run.states.size()));
  }
  run.result = state(c[is_preserving ? "y_final" : "x_final"], run.sigmas.size() - 1);
  for (const auto& row : c["noise_rows"]) run.noise_rows.push_back(row);
  run.draws_after_last_step = run.sampler == "euler_ancestral";
  run.denoise = toy.cond();
  if (run.sampler == "lcm") {
    run.denoise = with_lcm_boundary(toy.cond(), sdxl, BoundaryState::kVariancePreserving);
  }
  return run;
}

void check_file(const std::string& file_name,
                std::optional<Run> (*run_of_case)(const json& c, const Toy& toy)) {
  const auto golden = testing::load_golden(file_name);
  if (!golden) GTEST_SKIP() << file_name << " is not there";
  const json& meta = (*golden)["meta"];
  const Toy toy(meta["toy"]);
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c.value("label", c.value("sampler", "") + " " + c.value("schedule", "")));
    const auto run = run_of_case(c, toy);
    if (run) check_run(*run, toy, meta["noise_table"]);
    (run ? checked : skipped) += 1;
  }
  testing::report_golden(file_name, checked, skipped);
  EXPECT_GT(checked, 0u);
}

TEST(GoldenSamplers, EqualComfyUi) { check_file("samplers_comfyui.json", run_of_webui_case); }

TEST(GoldenSamplers, EqualForge) { check_file("samplers_forge.json", run_of_webui_case); }

TEST(GoldenSamplers, EqualDiffusers) {
  check_file("samplers_diffusers.json", run_of_diffusers_case);
}

TEST(GoldenSamplers, DiffusersStartsFromItsInitNoiseSigma) {
  const auto golden = testing::load_golden("samplers_diffusers.json");
  if (!golden) GTEST_SKIP() << "samplers_diffusers.json is not there";
  const json& meta = (*golden)["meta"];
  const Toy toy(meta["toy"]);
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    const std::string label = c["label"];
    if (!c.contains("init_noise_sigma")) {
      ++skipped;
      continue;
    }
    const auto scale =
        label.find("leading") != std::string::npos ? NoiseScale::kUnitVariance : NoiseScale::kSigma;
    const Tensor noise = toy.tensor(meta["noise_table"][0]);
    const Tensor x = initial_state(torch::zeros_like(noise), noise, c["sigmas"][0], scale);
    expect_near(x, toy.tensor(c["x_init"]), 1e-5, label);
    ++checked;
  }
  testing::report_golden("samplers_diffusers.json (start)", checked, skipped);
  EXPECT_GT(checked, 0u);
}

}  // namespace
}  // namespace fourstep
