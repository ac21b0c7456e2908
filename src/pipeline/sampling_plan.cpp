#include "pipeline/sampling_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "base/dialect.h"
#include "base/error.h"
#include "base/noise.h"
#include "pipeline/diffusers_plan.h"
#include "sampling/schedules.h"
#include "sampling/timestep_lists.h"

namespace fourstep {

namespace {

/// A1111's own list for the sampler; in other dialects none has one.
A1111List a1111_list(const ResolvedSampling& asked) {
  if (asked.dialect != Dialect::kA1111) return A1111List::kOfSchedule;
  return find_sampler(asked.sampler).a1111.list;
}

std::vector<double> sigmas_of(const ResolvedSampling& asked, const NoiseSchedule& schedule) {
  const Dialect dialect = asked.dialect;
  if (!asked.timesteps.empty()) {
    auto sigmas = sigmas_from_timesteps(schedule, asked.timesteps);
    return dialect == Dialect::kDiffusers ? linear_sigmas_at(schedule, asked.timesteps) : sigmas;
  }
  if (!asked.sigmas.empty()) {
    std::vector<double> sigmas = asked.sigmas;
    if (sigmas.back() != 0) sigmas.push_back(0);
    return sigmas;
  }
  const int steps = static_cast<int>(asked.steps);
  switch (a1111_list(asked)) {
    case A1111List::kDdim:
      return schedule_a1111_ddim(schedule, steps);
    case A1111List::kUniPc:
      return schedule_a1111_unipc(schedule, steps);
    case A1111List::kOfSchedule:
      break;
  }
  ScheduleSettings settings;
  settings.dialect = dialect;
  settings.rho = asked.rho;
  const SamplerRow& sampler = find_sampler(asked.sampler);
  settings.solver = sampler.diffusers.solver;
  settings.discard_penultimate = sampler.discards_penultimate(dialect);
  return make_sigmas(asked.schedule, schedule, steps, settings);
}

SamplerSettings settings_of(const ResolvedSampling& asked, const SamplerRow& sampler) {
  SamplerSettings settings = sampler.defaults;
  settings.eta = asked.eta;
  settings.s_noise = asked.s_noise;
  settings.s_churn = asked.s_churn;
  if (asked.dialect == Dialect::kA1111) {
    settings.last_step = LastStep::kFormula;
  }
  return settings;
}

/// How each program scales the first noise. Ours gives the network unit noise at any level, which is what the
/// one-step model was distilled on.
NoiseScale noise_scale_of(const ResolvedSampling& asked, const NoiseSchedule& schedule,
                          double sigma) {
  switch (asked.dialect) {
    case Dialect::kComfy:
      return comfyui_noise_scale(schedule, sigma);
    case Dialect::kA1111:  // its timestep samplers start from y = noise
      return a1111_list(asked) == A1111List::kOfSchedule ? NoiseScale::kSigma
                                                         : NoiseScale::kUnitVariance;
    case Dialect::kDiffusers:
    case Dialect::kFourstep:
      break;
  }
  return NoiseScale::kUnitVariance;
}

void check_steps(const ResolvedSampling& asked, const std::vector<double>& sigmas) {
  if (sigmas.size() > 1) return;
  throw InvalidRequest("schedule \"{}\" has no step to make for --steps {}; use more steps",
                       asked.schedule, asked.steps);
}

void check_eta(const ResolvedSampling& asked, const SamplerRow& sampler) {
  if (asked.eta > sampler.needs.max_eta) {
    throw InvalidRequest("--eta is {}, expected 0 to {} with the sampler {}", asked.eta,
                         sampler.needs.max_eta, asked.sampler);
  }
}

}  // namespace

NoiseSchedule noise_schedule_of(Dialect dialect, bool zero_snr) {
  const bool is_diffusers = dialect == Dialect::kDiffusers;
  const NoiseSchedule schedule =
      is_diffusers ? make_diffusers_noise_schedule() : make_sdxl_noise_schedule();
  if (!zero_snr) return schedule;
  return with_zero_terminal_snr(schedule,
                                is_diffusers ? kDiffusersLastAlphaBar : kComfyLastAlphaBar);
}

SamplingPlan plan_sampling(const ResolvedSampling& asked, NoiseSchedule schedule) {
  const SamplerRow& sampler = find_sampler(asked.sampler);
  check_eta(asked, sampler);
  std::vector<double> sigmas = sigmas_of(asked, schedule);
  check_steps(asked, sigmas);
  const bool has_unit_variance = a1111_list(asked) != A1111List::kOfSchedule;
  const double output_scale = has_unit_variance ? 1 / std::hypot(1, sigmas.back()) : 1;
  const NoiseScale noise_scale = noise_scale_of(asked, schedule, sigmas[0]);
  const TimestepOf timestep_of = timestep_of_table(schedule);
  SamplingPlan plan{
      sampler,     std::move(schedule), std::move(sigmas), settings_of(asked, sampler),
      noise_scale, output_scale,        timestep_of};
  if (asked.dialect == Dialect::kDiffusers) follow_diffusers(asked, plan);
  check_steps(asked, plan.sigmas);
  check_falling(plan.sigmas);
  return plan;
}

SamplingPlan plan_sampling(const ResolvedRequest& request) {
  return plan_sampling(request.sampling,
                       noise_schedule_of(request.sampling.dialect, request.zero_snr));
}

bool uses_schedule(const ResolvedSampling& asked) {
  return asked.timesteps.empty() && asked.sigmas.empty() &&
         a1111_list(asked) == A1111List::kOfSchedule;
}

StepNoise step_noise(const SamplingPlan& plan, std::span<const ImageSeed> seeds,
                     const NoiseSource& stream) {
  if (plan.sampler.needs.noise != NoiseKind::kBrownian) return noise_like(stream);
  const std::vector<double>& sigmas = plan.sigmas;
  const double lowest = sigmas.back() > 0 ? sigmas.back() : sigmas[sigmas.size() - 2];
  if (lowest == sigmas[0]) return noise_like(stream);  // a single step to 0 draws nothing
  std::vector<BrownianPath> paths;
  for (const ImageSeed& seed : seeds) {
    BrownianPath& path = paths.emplace_back(BrownianPath{seed.seed, lowest, sigmas[0]});
    if (seed.origin == NoiseOrigin::kPhilox) path.make_noise = make_philox_noise;
  }
  return [paths](const Tensor& like, double from, double to) {
    return brownian_noise(paths, shape_of(like), from, to).to(like.options());
  };
}

}  // namespace fourstep
