#include "pipeline/defaults.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/dialect.h"
#include "base/error.h"
#include "pipeline/distilled_names.h"
#include "sampling/names.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "text/known_words.h"
#include "text/prompt_rules.h"

namespace fourstep {

namespace {

int64_t rounded_side(int64_t side, int64_t native, const char* name, const Events& events) {
  constexpr int64_t kMultiple = 8, kSmallest = 64;
  if (side == 0) return native;
  const int64_t rounded = std::max((side + kMultiple / 2) / kMultiple * kMultiple, kSmallest);
  if (rounded != side) {
    events.notice(fmt::format("{} {} px becomes {}: sides are multiples of {}, at least {}", name,
                              side, rounded, kMultiple, kSmallest));
  }
  return rounded;
}

int64_t steps_of_lists(const Request& request, int64_t otherwise) {
  if (!request.timesteps.empty()) return static_cast<int64_t>(request.timesteps.size());
  if (request.sigmas.empty()) return otherwise;
  // A final 0 is the end of the last step, not a step of its own.
  return static_cast<int64_t>(request.sigmas.size()) - (request.sigmas.back() == 0 ? 1 : 0);
}

void check_list_length(const Request& request, int64_t steps) {
  if (request.steps && *request.steps != steps) {
    throw InvalidRequest("--steps {} does not fit the {} steps of the explicit list; leave it out",
                         *request.steps, steps);
  }
}

/// The order of a solver, its timesteps and its noise are diffusers' in its own dialect alone.
void report_foreign_rules(const Request& request, const Events& events) {
  const bool is_diffusers = dialect_from_name(request.dialect) == Dialect::kDiffusers;
  if (is_diffusers || !is_diffusers_class(request.sampler)) return;
  events.notice(fmt::format(
      "--sampler {}: its order, timesteps and noise as in diffusers need --dialect diffusers",
      request.sampler));
}

/// Any spelling of sampler and schedule becomes ours; "DPM++ 2M Karras" names both. An explicit list has no
/// schedule.
void resolve_names(Request& request, bool is_distilled, const Events& events) {
  if (request.sampler == "auto") request.sampler = is_distilled ? "lcm" : "euler";
  report_foreign_rules(request, events);
  const SamplerAndSchedule names = split_sampler_name(request.sampler);
  const std::string sampler(find_sampler(names.sampler).name);
  const std::string fallback = is_distilled ? "dmd2" : "karras";
  std::string schedule = names.schedule.empty() ? fallback : names.schedule;
  if (request.schedule != "auto") {
    schedule = find_schedule(schedule_name(request.schedule, sampler)).name;
    if (!names.schedule.empty() && names.schedule != schedule) {
      throw InvalidRequest(
          "--sampler \"{}\" names the schedule {}, and --schedule says {}; leave one of them out",
          request.sampler, names.schedule, request.schedule);
    }
  }
  request.sampler = sampler;
  request.schedule = schedule;
}

void report_unknown_words(const Request& request, const ModelTraits& traits, const Events& events) {
  if (traits.known_words.empty()) return;
  const PromptSyntax syntax = prompt_rules(dialect_from_name(request.dialect)).syntax;
  const auto words = unknown_words(plain_words(request.prompt, syntax), traits.known_words);
  if (words.empty()) return;
  events.notice(fmt::format("{} has never seen \"{}\"; it will guess", traits.file_name,
                            fmt::join(words, "\", \"")));
}

}  // namespace

uint64_t draw_seed() { return std::random_device()(); }

Request with_default_model(Request request, const std::optional<DefaultModel>& shipped) {
  if (request.model.empty()) {
    if (!shipped) {
      throw InvalidRequest(std::string(
          "--model: name a checkpoint file or a diffusers folder; the shipped model is not there"));
    }
    request.model = shipped->checkpoint.string();
    if (request.loras.empty()) request.loras.push_back({shipped->dmd2_lora.string()});
  }
  std::erase_if(request.loras, [](const LoraUse& use) { return use.file == "none"; });
  return request;
}

double merged_dmd2(const ModelTraits& traits) {
  return traits.merged_dmd2.value_or(mentions_dmd2(traits.file_name) ? 1 : 0);
}

double dmd2_in_all(const ModelTraits& traits) {
  double sum = merged_dmd2(traits);
  for (const LoraTraits& lora : traits.loras)
    sum += lora.is_dmd2 ? largest_weight(lora.unet_weight) : 0;
  return sum;
}

ModelKind kind_of(const ModelTraits& traits) {
  constexpr double kLeast = 0.25;
  const bool is_worn = std::any_of(
      traits.loras.begin(), traits.loras.end(),
      [](const LoraTraits& lora) { return lora.is_dmd2 && largest_weight(lora.unet_weight) > 0; });
  const double merged = merged_dmd2(traits);
  const bool is_merged = merged >= kLeast && dmd2_in_all(traits) > merged / 2;
  return is_worn || is_merged ? ModelKind::kDistilled : ModelKind::kPlain;
}

int64_t distilled_steps(const ModelTraits& traits) {
  const bool is_one_step =
      mentions_dmd2(traits.file_name) && traits.file_name.find("1step") != std::string::npos;
  return is_one_step ? 1 : 4;
}

std::vector<double> trained_sigmas(const ModelTraits& traits, const NoiseSchedule& schedule) {
  auto sigmas = dmd2_sigmas(schedule, static_cast<int>(distilled_steps(traits)));
  sigmas.pop_back();  // the clean end
  return sigmas;
}

Request resolve_defaults(Request request, const ModelTraits& traits, const Events& events) {
  constexpr int64_t kPlainSteps = 30;
  const bool is_distilled = kind_of(traits) == ModelKind::kDistilled;
  resolve_names(request, is_distilled, events);
  const int64_t steps = steps_of_lists(
      request, request.steps.value_or(is_distilled ? distilled_steps(traits) : kPlainSteps));
  check_list_length(request, steps);
  request.steps = steps;
  if (!request.cfg_scale) request.cfg_scale = is_distilled ? 1 : 6;
  if (request.noise == "auto") {
    request.noise = dialect_from_name(request.dialect) == Dialect::kA1111 ? "nv" : "torch";
  }
  if (!request.seed) request.seed = draw_seed();
  request.width = rounded_side(request.width, traits.native_side, "width", events);
  request.height = rounded_side(request.height, traits.native_side, "height", events);
  report_unknown_words(request, traits, events);
  return request;
}

}  // namespace fourstep
