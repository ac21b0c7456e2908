// Every sampler on every schedule in every dialect, with settings at their ends: what is planned can be sampled, and no
// state on the way is NaN or infinite; what cannot be sampled is refused before the first call.

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/dialect.h"
#include "base/error.h"
#include "pipeline/sampling_plan.h"
#include "sampling/schedules.h"

namespace fourstep {
namespace {

constexpr Shape::value_type kSide = 2;

/// A denoiser of few operations, neither linear nor of one sign, which notices what is not finite.
class CheckedToy {
 public:
  CheckedToy()
      : denoise_([this](const Tensor& x, const Tensor& sigma) {
          check(x);
          const double level = sigma.const_data_ptr<double>()[0],
                       share = 0.5 / (0.5 + level * level);
          return last_ = x * share + (x * (1.5 / std::hypot(1, level)) + 0.3).sin() * 0.4;
        }) {}

  const Denoiser& denoise() const { return denoise_; }
  const Tensor& last() const { return last_; }
  bool is_finite() const { return is_finite_; }

  void check(const Tensor& x) {
    const Tensor flat = x.contiguous();
    const float* values = flat.const_data_ptr<float>();
    for (int64_t i = 0; i < flat.numel(); ++i) is_finite_ = is_finite_ && std::isfinite(values[i]);
  }

 private:
  Tensor last_;
  bool is_finite_ = true;
  Denoiser denoise_;
};

ResolvedSampling sampling_of(std::string_view dialect, std::string_view sampler,
                             std::string_view schedule, int64_t steps) {
  ResolvedSampling sampling;
  sampling.sampler = sampler;
  sampling.schedule = schedule;
  sampling.dialect = dialect_from_name(dialect);
  sampling.steps = steps;
  sampling.eta = find_sampler(sampler).defaults.eta;
  sampling.rho = schedule == "polyexponential" ? 1 : 7;
  return sampling;
}

std::string text_of(const SamplingPlan& plan) {
  const SamplerSettings& s = plan.settings;
  return fmt::format("{} on [{}], eta {}, s_noise {}, s_churn {}, order {}, last step {}",
                     plan.sampler.name, fmt::join(plan.sigmas, " "), s.eta, s.s_noise, s.s_churn,
                     s.order, static_cast<int>(s.last_step));
}

/// The last state. Fails where a state on the way is not finite or sampling throws.
Tensor run_plan(const SamplingPlan& plan, const StepNoise& noise) {
  CheckedToy toy;
  const SamplerRun run{toy.denoise(),   plan.sigmas, plan.schedule,
                       plan.settings,   noise,       [&] { return toy.last(); },
                       plan.timestep_of};
  static const Tensor start = make_torch_noise(1)({1, 4, kSide, kSide});
  try {
    const Tensor x = sample(plan.sampler, run, start * std::hypot(1, plan.sigmas[0]));
    toy.check(x);
    EXPECT_TRUE(toy.is_finite()) << text_of(plan);
    return x;
  } catch (const std::exception& error) {
    ADD_FAILURE() << text_of(plan) << ": " << error.what();
    return start;
  }
}

/// One tensor for all draws: a Brownian path costs more than all else here.
StepNoise one_noise() {
  return [noise = make_torch_noise(2)({1, 4, kSide, kSide})](const Tensor&, double, double) {
    return noise;
  };
}

/// What decides a run, so that two dialects that plan the same are run once.
class Seen {
 public:
  bool is_new(const SamplingPlan& plan) {
    const SamplerSettings& s = plan.settings;
    std::vector<double> sigmas = plan.sigmas;
    // It looks at the ends alone.
    if (plan.sampler.name == "dpm_adaptive" && sigmas.size() > 3) {
      sigmas.erase(sigmas.begin() + 1, sigmas.end() - 2);
    }
    const int last_step = minds_last_step(plan.sampler) ? static_cast<int>(s.last_step) : 0;
    return runs_
        .insert(fmt::format("{} {} {} {} {} {} {}", plan.sampler.name,
                            reinterpret_cast<uintptr_t>(plan.sampler.function), s.order, last_step,
                            s.timestep_stride, plan.schedule.sigma_max(), fmt::join(sigmas, " ")))
        .second;
  }
  size_t size() const { return runs_.size(); }

 private:
  /// Those that read the setting; found by trying.
  bool minds_last_step(const SamplerRow& row) {
    const auto key = reinterpret_cast<uintptr_t>(row.function);
    if (ignoring_.contains(key)) return false;
    if (minding_.contains(key)) return true;
    const auto result = [&](LastStep last_step) {
      SamplingPlan plan =
          plan_sampling(sampling_of("fourstep", "euler", "karras", 5), make_sdxl_noise_schedule());
      plan.sampler = row;
      plan.settings = row.defaults;
      plan.settings.last_step = last_step;
      return run_plan(plan, one_noise());
    };
    const Tensor estimate = result(LastStep::kEstimate);
    const bool is_same = torch::equal(estimate, result(LastStep::kFormula)) &&
                         torch::equal(estimate, result(LastStep::kFirstOrder));
    (is_same ? ignoring_ : minding_).insert(key);
    return !is_same;
  }

  std::set<std::string> runs_;
  std::set<uintptr_t> ignoring_, minding_;
};

struct Counts {
  size_t combinations = 0, refused = 0;
};

/// Plans and, where the plan is new, samples. A refusal must say why.
void try_sampling(const ResolvedSampling& asked, const NoiseSchedule& schedule, Seen& seen,
                  Counts& counts) {
  ++counts.combinations;
  try {
    const SamplingPlan plan = plan_sampling(asked, schedule);
    if (seen.is_new(plan)) run_plan(plan, one_noise());
  } catch (const InvalidRequest& refusal) {
    EXPECT_STRNE(refusal.what(), "");
    ++counts.refused;
  }
}

TEST(SamplerSweep, EveryStateIsFinite) {
  constexpr int kMostSteps = 12;
  Seen seen;
  Counts counts;
  for (const DialectRow& dialect : dialect_rows()) {
    if (dialect_name(dialect.dialect) != dialect.name) continue;  // another spelling
    for (const bool is_zero_snr : {false, true}) {
      const NoiseSchedule schedule = noise_schedule_of(dialect.dialect, is_zero_snr);
      for (const SamplerRow& sampler : sampler_rows()) {
        for (const ScheduleRow& row : schedule_rows()) {
          for (int steps = 1; steps <= kMostSteps; ++steps) {
            try_sampling(sampling_of(dialect.name, sampler.name, row.name, steps), schedule, seen,
                         counts);
          }
        }
      }
    }
  }
  fmt::print(
      "sweep: {} combinations of sampler, schedule, dialect, 1 to {} steps and zero SNR; {} "
      "refused before sampling, {} different runs\n",
      counts.combinations, kMostSteps, counts.refused, seen.size());
  EXPECT_LT(counts.refused * 20, counts.combinations) << "few lists have no step";
}

const std::vector<std::vector<double>> kLists = {
    {14.6146, 4.08, 1.61, 0.69, 0.02},
    {14.6146, 4.08, 1.61, 0.69, 0.02, 0},
    {14.6146, 0.029, 0.02},
    {0.05, 0.03, 0.0291671582, 0.02},
    {1, 0.02},
    {0.02, 0},
    {4518.76, 100, 14.6, 1, 0.02},
    {4518.76, 0},
    {1e6, 1e3, 1, 1e-3, 1e-6, 0},
    {3, 2.999999, 2.99, 1, 0.99999, 0},
};

/// Settings of a plan that requests can reach or that samplers offer.
std::vector<SamplerSettings> settings_at_their_ends(const SamplingPlan& plan) {
  std::vector<SamplerSettings> all;
  const auto add = [&](const auto& change) {
    all.push_back(plan.settings);
    change(all.back());
  };
  add([](SamplerSettings&) {});
  const bool is_share = plan.sampler.name == "tcd" || plan.sampler.name == "dpm_adaptive";
  for (const double eta : {0.0, 1.0, is_share ? 0.5 : 10.0}) {
    add([&](SamplerSettings& s) { s.eta = eta; });
  }
  for (const double churn : {0.5, 100.0}) add([&](SamplerSettings& s) { s.s_churn = churn; });
  for (const double noise : {0.0, 10.0}) add([&](SamplerSettings& s) { s.s_noise = noise; });
  for (const int order : {1, 2, 3}) add([&](SamplerSettings& s) { s.order = order; });
  for (const double r : {0.05, 0.95}) add([&](SamplerSettings& s) { s.r = r; });
  for (const LastStep last : {LastStep::kEstimate, LastStep::kFormula, LastStep::kFirstOrder}) {
    add([&](SamplerSettings& s) { s.last_step = last; });
  }
  add([](SamplerSettings& s) { s.solver = SdeSolver::kHeun; });
  return all;
}

/// The plans of a sampler with its own formula and with that of diffusers, where that is another.
std::vector<SamplingPlan> plans_of(const SamplerRow& sampler) {
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  std::vector<SamplingPlan> plans = {
      plan_sampling(sampling_of("comfyui", sampler.name, "karras", 5), schedule)};
  SamplingPlan other = plan_sampling(sampling_of("diffusers", sampler.name, "karras", 5), schedule);
  if (other.sampler.function != sampler.function) plans.push_back(std::move(other));
  return plans;
}

TEST(SamplerSweep, ExplicitListsAndSettingsAtTheirEndsAreFinite) {
  size_t runs = 0;
  for (const SamplerRow& sampler : sampler_rows()) {
    for (const SamplingPlan& usual : plans_of(sampler)) {
      std::vector<std::vector<double>> lists = kLists;
      lists.push_back(usual.sigmas);
      for (const SamplerSettings& settings : settings_at_their_ends(usual)) {
        for (const auto& list : lists) {
          SamplingPlan plan = usual;
          plan.sigmas = list;
          plan.settings = settings;
          run_plan(plan, one_noise());
          ++runs;
        }
      }
    }
  }
  fmt::print("sweep: {} runs on explicit lists and with settings at their ends\n", runs);
}

TEST(SamplerSweep, MoreNoiseThanThereIsRoomForIsRefused) {
  for (const char* sampler : {"tcd", "dpm_adaptive"}) {
    ResolvedSampling asked = sampling_of("fourstep", sampler, "karras", 4);
    asked.eta = 1.5;
    EXPECT_THROW(plan_sampling(asked, make_sdxl_noise_schedule()), InvalidRequest) << sampler;
  }
}

TEST(SamplerSweep, TheirOwnNoiseIsFiniteToo) {
  size_t runs = 0;
  for (const SamplerRow& sampler : sampler_rows()) {
    if (sampler.needs.noise == NoiseKind::kNone) continue;
    for (const std::string_view schedule : {"karras", "kl_optimal", "laplace", "beta"}) {
      for (const double churn : {0.0, 100.0}) {
        ResolvedSampling asked = sampling_of("a1111", sampler.name, schedule, 4);
        asked.s_churn = churn;
        const SamplingPlan plan = plan_sampling(asked, make_sdxl_noise_schedule());
        const ImageSeed seeds[] = {{.seed = 3}};
        run_plan(plan, step_noise(plan, seeds, make_image_noise(seeds)));
        ++runs;
      }
    }
  }
  fmt::print("sweep: {} runs with streams and Brownian paths\n", runs);
}

TEST(SamplerSweep, ManyStepsFallOrAreRefused) {
  const NoiseSchedule plain = make_sdxl_noise_schedule();
  for (const NoiseSchedule& schedule : {plain, with_zero_terminal_snr(plain)}) {
    for (const DialectRow& dialect : dialect_rows()) {
      for (const ScheduleRow& row : schedule_rows()) {
        for (const int steps : {40, 333, 500, 999, 1000}) {
          try {
            const auto asked = sampling_of(dialect.name, "dpmpp_2m", row.name, steps);
            const auto sigmas = plan_sampling(asked, schedule).sigmas;
            EXPECT_NO_THROW(check_falling(sigmas)) << dialect.name << row.name << steps;
          } catch (const InvalidRequest& refusal) {
            EXPECT_STRNE(refusal.what(), "");
          }
        }
      }
    }
  }
}

TEST(SamplerSweep, ManyStepsAreFinite) {
  for (const SamplerRow& sampler : sampler_rows()) {
    for (const std::string_view schedule : {"karras", "normal"}) {
      run_plan(plan_sampling(sampling_of("comfyui", sampler.name, schedule, 120),
                             make_sdxl_noise_schedule()),
               one_noise());
    }
  }
}

TEST(SamplerSweep, BentSchedulesAreFiniteOrRefused) {
  Seen seen;
  Counts counts;
  for (const SamplerRow& sampler : sampler_rows()) {
    for (const std::string_view schedule : {"karras", "polyexponential"}) {
      for (const double rho : {0.05, 1.0, 100.0}) {
        for (const int steps : {1, 3, 4, 11, 40}) {
          ResolvedSampling asked = sampling_of("fourstep", sampler.name, schedule, steps);
          asked.rho = rho;
          try_sampling(asked, make_sdxl_noise_schedule(), seen, counts);
        }
      }
    }
  }
  EXPECT_GT(seen.size(), 500u);
}

}  // namespace
}  // namespace fourstep
