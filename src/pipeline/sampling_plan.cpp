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
#include "pipeline/diffusers_plan.h"
#include "sampling/a1111_timesteps.h"
#include "sampling/diffusers_schedulers.h"
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

std::vector<double> sigmas_of(const Request& request, const NoiseSchedule& schedule) {
  const Dialect dialect = dialect_from_name(request.dialect);
  if (!request.timesteps.empty()) {
    auto sigmas = sigmas_from_timesteps(schedule, request.timesteps);
    return dialect == Dialect::kDiffusers ? linear_sigmas_at(schedule, request.timesteps) : sigmas;
  }
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
  settings.dialect = dialect;
  settings.rho = request.rho;
  if (const auto scheduler = find_diffusers_scheduler(request.sampler)) {
    settings.solver = scheduler->solver;
  }
  settings.discard_penultimate = discards_penultimate(request.sampler, settings.dialect);
  return make_sigmas(request.schedule, schedule, steps, settings);
}

SamplerSettings settings_of(const Request& request, const SamplerRow& sampler) {
  SamplerSettings settings = sampler.defaults;
  settings.eta = request.eta.value_or(settings.eta);
  settings.s_noise = request.s_noise;
  settings.s_churn = request.s_churn;
  if (dialect_from_name(request.dialect) == Dialect::kA1111) {
    settings.last_step = LastStep::kFormula;
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
    case Dialect::kDiffusers:
    case Dialect::kFourstep:
      break;
  }
  return NoiseScale::kUnitVariance;
}

}  // namespace

namespace {

void check_steps(const Request& request, const std::vector<double>& sigmas) {
  if (sigmas.size() > 1) return;
  throw InvalidRequest("schedule \"{}\" has no step to make for --steps {}; use more steps",
                       request.schedule, *request.steps);
}

/// TCD's gamma is a share of the way to the next timestep; with more noise than 1 dpm_adaptive finds no end.
void check_eta(const Request& request) {
  const bool is_share = request.sampler == "tcd" || request.sampler == "dpm_adaptive";
  if (is_share && request.eta.value_or(0) > 1) {
    throw InvalidRequest("--eta is {}, expected 0 to 1 with the sampler {}", *request.eta,
                         request.sampler);
  }
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
  check_eta(request);
  std::vector<double> sigmas = sigmas_of(request, schedule);
  check_steps(request, sigmas);
  const bool has_unit_variance = timestep_sampler(request) != TimestepSampler::kNone;
  const double output_scale = has_unit_variance ? 1 / std::hypot(1, sigmas.back()) : 1;
  const NoiseScale noise_scale = noise_scale_of(request, schedule, sigmas[0]);
  const TimestepOf timestep_of = timestep_of_table(schedule, TimestepRule::kNearest);
  SamplingPlan plan{
      sampler,     std::move(schedule), std::move(sigmas), settings_of(request, sampler),
      noise_scale, output_scale,        timestep_of};
  if (dialect_from_name(request.dialect) == Dialect::kDiffusers) follow_diffusers(request, plan);
  check_steps(request, plan.sigmas);
  check_falling(plan.sigmas);
  return plan;
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
