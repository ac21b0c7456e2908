#include "pipeline/sampling_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "base/brownian_noise.h"
#include "base/dialect.h"
#include "base/error.h"
#include "sampling/a1111_timesteps.h"
#include "sampling/names.h"
#include "sampling/schedules.h"

namespace fourstep {

namespace {

/// The samplers for which A1111 has lists of its own and states of unit variance, to the end.
enum class TimestepSampler { kNone, kDdim, kUniPc };

TimestepSampler timestep_sampler(const Request& request) {
  if (dialect_from_name(request.dialect) != Dialect::kA1111) return TimestepSampler::kNone;
  const std::string& name = request.sampler;
  if (name == "uni_pc") return TimestepSampler::kUniPc;
  const bool is_ddim = name == "ddim" || name == "ddim_cfg_pp" || name == "plms";
  return is_ddim ? TimestepSampler::kDdim : TimestepSampler::kNone;
}

/// The kind of diffusers' scheduler behind a sampler: they space the same steps differently.
SolverKind solver_kind(std::string_view sampler) {
  constexpr auto kDdimLike = std::to_array<std::string_view>({"ddim", "ddpm", "plms"});
  constexpr auto kMultistepLike = std::to_array<std::string_view>(
      {"dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "uni_pc", "uni_pc_bh2", "deis", "sa_solver"});
  const auto is_in = [&](const auto& names) {
    return std::find(names.begin(), names.end(), sampler) != names.end();
  };
  if (is_in(kDdimLike)) return SolverKind::kDdim;
  return is_in(kMultistepLike) ? SolverKind::kMultistep : SolverKind::kEuler;
}

/// diffusers' DDIM for Stable Diffusion (set_alpha_to_one off) ends at timestep 0, whose level is above 0, in a
/// state of unit variance.
bool ends_at_timestep_0(const Request& request) {
  return dialect_from_name(request.dialect) == Dialect::kDiffusers && request.sampler == "ddim";
}

std::vector<double> sigmas_of(const Request& request, const NoiseSchedule& schedule) {
  if (!request.timesteps.empty()) return sigmas_from_timesteps(schedule, request.timesteps);
  if (!request.sigmas.empty()) {
    std::vector<double> sigmas = request.sigmas;
    if (sigmas.back() != 0) sigmas.push_back(0);
    return sigmas;
  }
  const int steps = static_cast<int>(*request.steps);
  switch (timestep_sampler(request)) {
    case TimestepSampler::kDdim:
      return schedule_a1111_ddim(schedule, steps);
    case TimestepSampler::kUniPc:
      return schedule_a1111_unipc(schedule, steps);
    case TimestepSampler::kNone:
      break;
  }
  ScheduleSettings settings;
  settings.dialect = dialect_from_name(request.dialect);
  settings.rho = request.rho;
  settings.solver = solver_kind(request.sampler);
  settings.discard_penultimate = discards_penultimate(request.sampler, settings.dialect);
  return make_sigmas(request.schedule, schedule, steps, settings);
}

/// The default `solver_order` of its UniPCMultistepScheduler.
constexpr int kDiffusersUniPcOrder = 2;

SamplerSettings settings_of(const Request& request, const SamplerRow& sampler) {
  SamplerSettings settings = sampler.defaults;
  settings.eta = request.eta.value_or(settings.eta);
  settings.s_noise = request.s_noise;
  settings.s_churn = request.s_churn;
  const Dialect dialect = dialect_from_name(request.dialect);
  if (dialect == Dialect::kA1111) settings.last_step = LastStep::kFormula;
  if (dialect == Dialect::kDiffusers) settings.last_step = LastStep::kEstimate;
  if (dialect == Dialect::kDiffusers && request.sampler.starts_with("uni_pc")) {
    settings.order = kDiffusersUniPcOrder;
  }
  return settings;
}

/// How each program scales the first noise. Ours gives the network unit noise at any level, which is what the
/// one-step model was distilled on.
NoiseScale noise_scale_of(const Request& request, const NoiseSchedule& schedule, double sigma) {
  switch (dialect_from_name(request.dialect)) {
    case Dialect::kComfy:
      return comfyui_noise_scale(schedule, sigma);
    case Dialect::kA1111:  // its timestep samplers start from y = noise
      return timestep_sampler(request) == TimestepSampler::kNone ? NoiseScale::kSigma
                                                                 : NoiseScale::kUnitVariance;
    case Dialect::kDiffusers: {
      const bool is_euler = request.sampler.starts_with("euler") && request.schedule != "leading";
      return is_euler ? NoiseScale::kSigma : NoiseScale::kUnitVariance;
    }
    case Dialect::kFourstep:
      break;
  }
  return NoiseScale::kUnitVariance;
}

}  // namespace

NoiseSchedule noise_schedule_of(const Request& request, bool file_zero_snr) {
  const bool is_diffusers = dialect_from_name(request.dialect) == Dialect::kDiffusers;
  const NoiseSchedule schedule =
      is_diffusers ? make_diffusers_noise_schedule() : make_sdxl_noise_schedule();
  if (!request.zero_snr.value_or(file_zero_snr)) return schedule;
  return with_zero_terminal_snr(schedule,
                                is_diffusers ? kDiffusersLastAlphaBar : kComfyLastAlphaBar);
}

SamplingPlan plan_sampling(const Request& request, NoiseSchedule schedule) {
  const SamplerRow& sampler = find_sampler(request.sampler);
  std::vector<double> sigmas = sigmas_of(request, schedule);
  if (sigmas.size() < 2) {
    throw InvalidRequest("schedule \"{}\" has no step to make for --steps {}; use more steps",
                         request.schedule, *request.steps);
  }
  if (ends_at_timestep_0(request) && sigmas.back() == 0) sigmas.back() = schedule.sigma_min();
  const bool has_unit_variance =
      timestep_sampler(request) != TimestepSampler::kNone || ends_at_timestep_0(request);
  const double output_scale = has_unit_variance ? 1 / std::hypot(1, sigmas.back()) : 1;
  const NoiseScale noise_scale = noise_scale_of(request, schedule, sigmas[0]);
  return {sampler,     std::move(schedule), std::move(sigmas), settings_of(request, sampler),
          noise_scale, output_scale};
}

bool uses_schedule(const Request& request) {
  return request.timesteps.empty() && request.sigmas.empty() &&
         timestep_sampler(request) == TimestepSampler::kNone;
}

ImageSeed image_seed(const Request& single) {
  const NoiseOrigin origin = single.noise == "nv" ? NoiseOrigin::kPhilox : NoiseOrigin::kTorch;
  return {*single.seed, single.variation_seed, single.variation_strength,
          single.ensd,  single.seed_width,     single.seed_height,
          origin};
}

StepNoise step_noise(const SamplingPlan& plan, const ImageSeed& seed, const NoiseSource& stream) {
  if (plan.sampler.needs.noise != NoiseKind::kBrownian) return noise_like(stream);
  const std::vector<double>& sigmas = plan.sigmas;
  const double lowest = sigmas.back() > 0 ? sigmas.back() : sigmas[sigmas.size() - 2];
  if (lowest == sigmas[0]) return noise_like(stream);  // a single step to 0 draws nothing
  BrownianPath path{seed.seed, lowest, sigmas[0]};
  if (seed.origin == NoiseOrigin::kPhilox) path.make_noise = make_philox_noise;
  return [path](const Tensor& like, double from, double to) {
    return brownian_noise(path, shape_of(like), from, to).to(like.options());
  };
}

}  // namespace fourstep
