#include "request/resolve.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <random>

#include "base/error.h"
#include "sampling/names.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "text/known_words.h"

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

int64_t steps_of_lists(const SamplingSettings& asked, int64_t otherwise) {
  if (!asked.timesteps.empty()) return static_cast<int64_t>(asked.timesteps.size());
  if (asked.sigmas.empty()) return otherwise;
  // A final 0 is the end of the last step, not a step of its own.
  return static_cast<int64_t>(asked.sigmas.size()) - (asked.sigmas.back() == 0 ? 1 : 0);
}

void check_list_length(const SamplingSettings& asked, int64_t steps) {
  if (asked.steps && *asked.steps != steps) {
    throw InvalidRequest("--steps {} does not fit the {} steps of the explicit list; leave it out",
                         *asked.steps, steps);
  }
}

/// The order of a solver, its timesteps and its noise are diffusers' in its own dialect alone.
void report_foreign_rules(const SamplingSettings& asked, const Events& events) {
  if (asked.dialect == Dialect::kDiffusers || !is_diffusers_class(asked.sampler)) return;
  events.notice(fmt::format(
      "--sampler {}: its order, timesteps and noise as in diffusers need --dialect diffusers",
      asked.sampler));
}

/// Any spelling of sampler and schedule becomes ours; "DPM++ 2M Karras" names both.
void resolve_names(SamplingSettings& asked, bool is_distilled, const Events& events) {
  if (asked.sampler == "auto") asked.sampler = is_distilled ? "lcm" : "euler";
  report_foreign_rules(asked, events);
  const SamplerAndSchedule names = split_sampler_name(asked.sampler);
  const std::string sampler(find_sampler(names.sampler).name);
  const std::string fallback = is_distilled ? "dmd2" : "karras";
  std::string schedule = names.schedule.empty() ? fallback : names.schedule;
  if (asked.schedule != "auto") {
    schedule = find_schedule(schedule_name(asked.schedule, sampler)).name;
    if (!names.schedule.empty() && names.schedule != schedule) {
      throw InvalidRequest(
          "--sampler \"{}\" names the schedule {}, and --schedule says {}; leave one of them out",
          asked.sampler, names.schedule, asked.schedule);
    }
  }
  asked.sampler = sampler;
  asked.schedule = schedule;
}

void report_unknown_words(const Request& request, const ModelTraits& traits, const Events& events) {
  if (traits.known_words.empty()) return;
  const PromptSyntax syntax = prompt_rules(request.sampling.dialect).syntax;
  const auto words = unknown_words(plain_words(request.prompt.text, syntax), traits.known_words);
  if (words.empty()) return;
  events.notice(fmt::format("{} has never seen \"{}\"; it will guess", traits.file_name,
                            fmt::join(words, "\", \"")));
}

/// What the model's kind decides.
Request fill_in(Request request, const ModelTraits& traits, const Events& events) {
  constexpr int64_t kPlainSteps = 30;
  const bool is_distilled = kind_of(traits) == ModelKind::kDistilled;
  SamplingSettings& sampling = request.sampling;
  resolve_names(sampling, is_distilled, events);
  const int64_t steps = steps_of_lists(
      sampling, sampling.steps.value_or(is_distilled ? distilled_steps(traits) : kPlainSteps));
  check_list_length(sampling, steps);
  sampling.steps = steps;
  if (!sampling.cfg_scale) sampling.cfg_scale = is_distilled ? 1 : 6;
  if (request.noise.origin == NoiseChoice::kAuto) {
    const bool is_gpu = sampling.dialect == Dialect::kA1111;
    request.noise.origin = is_gpu ? NoiseChoice::kNv : NoiseChoice::kTorch;
  }
  PictureSettings& picture = request.picture;
  if (!picture.seed) picture.seed = draw_seed();
  picture.width = rounded_side(picture.width, traits.native_side, "width", events);
  picture.height = rounded_side(picture.height, traits.native_side, "height", events);
  report_unknown_words(request, traits, events);
  return request;
}

/// In ComfyUI's dialect the steps' noise starts a stream of its own, unless `ensd` names another.
ImageSeed seed_of(uint64_t seed, const NoiseSettings& noise, Dialect dialect) {
  const bool is_comfy = dialect == Dialect::kComfy && noise.ensd == 0;
  const bool is_philox = noise.origin == NoiseChoice::kNv;
  return {seed,
          noise.variation_seed,
          noise.variation_strength,
          is_comfy ? kComfyStepSeedDelta : noise.ensd,
          noise.seed_width,
          noise.seed_height,
          is_philox ? NoiseOrigin::kPhilox : NoiseOrigin::kTorch};
}

ResolvedPrompt resolve_prompt(const Request& request, const ModelTraits& traits) {
  const PromptSettings& asked = request.prompt;
  const Dialect dialect = request.sampling.dialect;
  const EmptyNegative empty = request.networks.empty_negative;
  // SDXL was trained with zeros for a dropped prompt, SD 1.5 with the encoded empty text.
  const bool is_zero_by_family = traits.has_two_encoders && dialect != Dialect::kComfy;
  return {.text = asked.text,
          .negative = asked.negative,
          .rules = prompt_rules(dialect, text_from_value(asked.emphasis)),
          .old_prompt_schedules = asked.old_prompt_schedules,
          .embedding_dir = asked.embedding_dir,
          .clip_skip = request.networks.clip_skip,
          .zero_empty_negative = empty == EmptyNegative::kZeros ||
                                 (empty == EmptyNegative::kAuto && is_zero_by_family)};
}

ResolvedSampling resolve_sampling(const SamplingSettings& filled) {
  constexpr double kKarrasRho = 7, kPolyexponentialRho = 1;
  const bool is_poly = filled.schedule == "polyexponential";
  return {.sampler = filled.sampler,
          .schedule = filled.schedule,
          .dialect = filled.dialect,
          .steps = filled.steps.value(),
          .timesteps = filled.timesteps,
          .sigmas = filled.sigmas,
          .cfg_scale = filled.cfg_scale.value(),
          .eta = filled.eta.value_or(find_sampler(filled.sampler).defaults.eta),
          .s_noise = filled.s_noise,
          .s_churn = filled.s_churn,
          .rho = filled.rho.value_or(is_poly ? kPolyexponentialRho : kKarrasRho)};
}

}  // namespace

uint64_t draw_seed() { return std::random_device()(); }

Request with_default_model(Request request, const std::optional<DefaultModel>& shipped) {
  FileSettings& files = request.files;
  if (files.model.empty()) {
    if (!shipped) {
      throw InvalidRequest(std::string(
          "--model: name a checkpoint file or a diffusers folder; the shipped model is not there"));
    }
    files.model = shipped->checkpoint.string();
    if (files.loras.empty()) files.loras.push_back({shipped->dmd2_lora.string()});
  }
  std::erase_if(files.loras, [](const LoraUse& use) { return use.file == "none"; });
  return request;
}

ResolvedRequest resolve(const Request& request, const ModelTraits& traits, const Events& events) {
  const Request filled = fill_in(request, traits, events);
  const PredictionChoice prediction = filled.networks.prediction;
  const NetworkOutput asked_output =
      prediction == PredictionChoice::kV ? NetworkOutput::kV : NetworkOutput::kEps;
  const bool follows_file = prediction == PredictionChoice::kAuto;
  return {.prompt = resolve_prompt(filled, traits),
          .width = filled.picture.width,
          .height = filled.picture.height,
          .images = filled.picture.images,
          .batch = filled.picture.batch,
          .seed = seed_of(*filled.picture.seed, filled.noise, filled.sampling.dialect),
          .sampling = resolve_sampling(filled.sampling),
          .output = follows_file ? traits.output : asked_output,
          .zero_snr = filled.networks.zero_snr.value_or(traits.zero_snr),
          .vae_tile = filled.networks.vae_tile,
          .guidance = filled.guidance,
          .hires = filled.hires,
          .written = filled};
}

PictureSize picture_size(const ResolvedRequest& request) {
  const auto scaled = [&](int64_t side) {
    return static_cast<int64_t>(static_cast<double>(side) * request.hires.scale) / 8 * 8;
  };
  return {scaled(request.width), scaled(request.height)};
}

std::vector<ImageSeed> image_seeds(const ResolvedRequest& request) {
  return batch_seeds(request.seed, request.images);
}

}  // namespace fourstep
