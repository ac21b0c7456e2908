// The samplers against the reference programs' states at every step, on the toy denoiser.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>

#include "sampling/parameterization.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "sampling/timestep_lists.h"
#include "sampling/toy_denoiser.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::numbers;
using testing::to_doubles;
using testing::Toy;

constexpr double kSamplerTolerance = 2e-8;  // samplers in double
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
  SamplerSettings settings;
  Denoiser denoise;
  std::shared_ptr<Tensor> uncond =
      std::make_shared<Tensor>();  ///< of the latest call, where there is one
  std::vector<double> sigmas;
  Tensor x;
  std::vector<Tensor> states;  ///< x at every call; empty when the case lists none
  Tensor result;
  std::vector<int> noise_rows;     ///< drawn in this order
  bool draws_unused_rows = false;  ///< the reference draws rows that it does not use
  bool has_float32_sigmas = false;
  size_t idle_calls = 0;  ///< of the reference, at the end, that are not made here

  /// Absolute tolerance of a state at this noise level.
  double tolerance(double sigma) const {
    return has_float32_sigmas ? kFloat32Lists * std::hypot(1, sigma) : kSamplerTolerance;
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
    if (calls < run.states.size()) {
      expect_near(x, run.states[calls], run.tolerance(sigma[0].item<double>()),
                  fmt::format("state of call {}", calls));
    }
    ++calls;
    return run.denoise(x, sigma);
  };
  const StepNoise noise = [&](const Tensor& like, double, double) {
    EXPECT_LT(draws, run.noise_rows.size());
    const int row = draws < run.noise_rows.size() ? run.noise_rows[draws] : 0;
    ++draws;
    return toy.tensor(noise_table[row]).to(like.options());
  };
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  const Tensor result =
      find_sampler(run.sampler)
          .function({counted, run.sigmas, sdxl, run.settings, noise, [&] { return *run.uncond; }},
                    run.x, nullptr);
  expect_near(result, run.result, run.tolerance(run.sigmas.back()), "result");
  EXPECT_EQ(run.states.empty() ? 0 : calls + run.idle_calls, run.states.size());
  EXPECT_EQ(run.draws_unused_rows ? run.noise_rows.size() : draws, run.noise_rows.size());
}

/// Reads settings of a case; false for one that is not known here.
bool read_settings(const json& c, const char* key, SamplerSettings& settings) {
  if (!c.contains(key) || c[key].is_null()) return true;
  const std::map<std::string, double*> numbers = {
      {"eta", &settings.eta},       {"s_noise", &settings.s_noise}, {"s_churn", &settings.s_churn},
      {"s_tmin", &settings.s_tmin}, {"s_tmax", &settings.s_tmax},   {"r", &settings.r}};
  for (const auto& [name, value] : c[key].items()) {
    if (const auto number = numbers.find(name); number != numbers.end()) {
      *number->second = value;
    } else if (name == "order" || name == "max_order" || name == "max_stage") {
      settings.order = value;
    } else if (name == "solver_type") {
      settings.solver = value == "heun" ? SdeSolver::kHeun : SdeSolver::kMidpoint;
    } else {
      return false;
    }
  }
  return true;
}

/// The toy with guidance, which remembers the estimate without the prompt in *uncond.
Denoiser guided_toy(const Toy& toy, double scale, std::shared_ptr<Tensor> uncond) {
  return [cond = toy.cond(), without = toy.uncond(), scale, uncond](const Tensor& x,
                                                                    const Tensor& sigma) {
    *uncond = without(x, sigma);
    return *uncond + (cond(x, sigma) - *uncond) * scale;
  };
}

/// What the programs call a function of ours; empty for those that are not there.
std::string sampler_of_webui(const std::string& name) {
  const std::map<std::string, std::string> others = {
      {"unipc", "uni_pc"}, {"ddim_cfgpp", "euler_cfg_pp"}, {"Fooocus tcd (sigma space)", "tcd"}};
  const auto other = others.find(name);
  const std::string own = other == others.end() ? name : other->second;
  return is_known(own) ? own : "";
}

/// The toy as a network that is told whole timesteps: eps at their noise levels, call by call.
Denoiser toy_by_timestep(const Denoiser& toy, std::vector<double> told) {
  const auto call = std::make_shared<size_t>(0);
  return [toy, told = std::move(told), call](const Tensor& x, const Tensor& sigma) {
    const double level = sigma[0].item<double>();
    const double timestep = told.at(std::min((*call)++, told.size() - 1));
    const double known = sigma_from_timestep(make_sdxl_noise_schedule(), timestep);
    const Tensor at_known = x * (std::hypot(1, known) / std::hypot(1, level));
    const Tensor eps = (at_known - toy(at_known, torch::full_like(sigma, known))) / known;
    return x - eps * level;
  };
}

/// The levels and states of A1111's timestep samplers, whose states are variance preserving.
void read_timestep_case(const json& c, const Toy& toy, Run& run) {
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  const int steps = c["steps"];
  run.sigmas = run.sampler == "uni_pc" ? schedule_a1111_unipc(sdxl, steps)
                                       : schedule_a1111_ddim(sdxl, steps);
  run.x = variance_exploding(toy.tensor(c["y_init"]), run.sigmas[0]);
  std::vector<double> told;
  for (const auto& call : c["calls"]) {
    const double sigma = sigma_from_log_alpha(sdxl, call["t"]);
    run.states.push_back(variance_exploding(toy.tensor(call["y"]), sigma));
    told.push_back(call["t_used"]);
  }
  run.denoise = toy_by_timestep(toy.cond(), std::move(told));
  run.result = variance_exploding(toy.tensor(c["y_final"]), run.sigmas.back());
}

/// Cases of ComfyUI's and Forge's functions, which work in sigma space.
std::optional<Run> run_of_webui_case(const json& c, const Toy& toy) {
  Run run;
  const std::string name = c["sampler"], family = c.value("family", "");
  run.sampler = sampler_of_webui(name);
  if (run.sampler.empty() || !c.contains("noise_used")) return std::nullopt;
  run.settings = find_sampler(run.sampler).defaults;
  if (family == "forge") run.settings.last_step = LastStep::kFormula;
  if (!read_settings(c, "params", run.settings)) return std::nullopt;
  run.settings.eta = c.value("eta", run.settings.eta);
  if (family == "forge_timesteps") {
    read_timestep_case(c, toy, run);
  } else {
    run.sigmas = numbers(c["sigmas"]);
    run.x = toy.tensor(c["x_init"]);
    if (c.contains("calls")) {
      for (const auto& call : c["calls"]) run.states.push_back(toy.tensor(call["x"]));
    }
    run.result = toy.tensor(c["x_final"]);
  }
  for (const auto& noise : c["noise_used"]) run.noise_rows.push_back(noise["row"]);
  run.draws_unused_rows = name == "heunpp2" || family == "forge_timesteps";
  if (!run.denoise) run.denoise = toy.cond();
  if (name == "ddim_cfgpp") run.denoise = guided_toy(toy, 1, run.uncond);
  if (c.contains("cfg_scale")) run.denoise = guided_toy(toy, c["cfg_scale"], run.uncond);
  return run;
}

/// The sampler of ours that a diffusers scheduler is in sigma space; empty for later features.
std::string sampler_of_scheduler(const json& c) {
  const std::string scheduler = c.value("scheduler", ""), label = c["label"];
  if (scheduler == "LCMScheduler" && c["config"].empty() && c["step_args"].empty()) return "lcm";
  if (scheduler == "EulerDiscreteScheduler") return "euler";
  if (scheduler == "EulerAncestralDiscreteScheduler") return "euler_ancestral";
  if (scheduler == "DPMSolverMultistepScheduler") {
    return label.starts_with("sde-") ? "dpmpp_2m_sde" : "dpmpp_2m";
  }
  if (scheduler == "TCDScheduler") return "tcd";
  if (scheduler == "DDIMScheduler" && c["config"].value("set_alpha_to_one", true) == false)
    return "ddim";
  return "";
}

/// diffusers' DDIM steps 1000 div steps timesteps down and ends at timestep 0; a call there changes
/// nothing.
void end_at_timestep_0(const json& c, const NoiseSchedule& sdxl, Run& run) {
  const auto timesteps = numbers(c["timesteps"]);
  run.settings.timestep_stride = 1000 / static_cast<int>(timesteps.size());
  run.sigmas.back() = sdxl.sigma_min();
  if (timesteps.back() != 0) return;
  run.sigmas.pop_back();
  run.idle_calls = 1;
}

/// Cases of diffusers' schedulers: their variance-preserving states y are x = y sqrt(1 + sigma^2).
std::optional<Run> run_of_diffusers_case(const json& c, const Toy& toy) {
  if (!c.contains("scheduler")) return run_of_webui_case(c, toy);
  const NoiseSchedule sdxl = make_sdxl_noise_schedule();
  Run run;
  run.sampler = sampler_of_scheduler(c);
  if (run.sampler.empty()) return std::nullopt;
  run.settings = find_sampler(run.sampler).defaults;
  if (!read_settings(c, "step_args", run.settings)) return std::nullopt;
  if (c.contains("sigmas")) {
    run.sigmas = numbers(c["sigmas"]);
    run.has_float32_sigmas = true;
  } else {
    run.sigmas = sigmas_from_timesteps(sdxl, numbers(c["timesteps"]));
    if (run.sampler == "ddim") end_at_timestep_0(c, sdxl, run);
  }
  const bool is_preserving = c.contains("y_init");
  const auto state = [&](const json& values, size_t step) {
    const Tensor tensor = toy.tensor(values);
    return is_preserving ? variance_exploding(tensor, run.sigmas[step]) : tensor;
  };
  run.x = state(c[is_preserving ? "y_init" : "x_init"], 0);
  for (const auto& call : c["calls"]) {
    const size_t step = std::min(run.states.size(), run.sigmas.size() - 1);
    run.states.push_back(state(call[is_preserving ? "y" : "x"], step));
  }
  run.result = state(c[is_preserving ? "y_final" : "x_final"], run.sigmas.size() - 1);
  for (const auto& row : c["noise_rows"]) run.noise_rows.push_back(row);
  // One unused row more than steps between noise levels.
  run.draws_unused_rows = run.sampler == "euler_ancestral" || run.sampler == "dpmpp_2m_sde";
  run.denoise = toy.cond();
  if (run.sampler == "lcm") {
    run.denoise = with_lcm_boundary(toy.cond(), sdxl);
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
}

TEST(GoldenSamplers, EqualComfyUi) { check_file("samplers_comfyui.json", run_of_webui_case); }

TEST(GoldenSamplers, EqualForge) { check_file("samplers_forge.json", run_of_webui_case); }

TEST(GoldenSamplers, EqualTheirFormulasWrittenOnceMore) {
  check_file("samplers_others.json", run_of_webui_case);
}

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
}

}  // namespace
}  // namespace fourstep
