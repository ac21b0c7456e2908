#include "pipeline/lint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "pipeline/trained_sizes.h"
#include "request/model_traits.h"
#include "sampling/sigma_lists.h"
#include "text/prompt_rules.h"
#include "text/prompt_scan.h"

namespace fourstep {

namespace {

struct Finding {
  std::string sentence, remedy;
};
using MaybeFinding = std::optional<Finding>;

bool is_distilled(const LintSubject& s) { return kind_of(s.traits) == ModelKind::kDistilled; }

bool draws_noise(const LintSubject& s) {
  return s.plan.sampler.needs.noise != NoiseKind::kNone && s.plan.settings.eta > 0;
}

/// Distilled models learned to jump to the clean picture and be noised again (dmd2, sampling); what a
/// deterministic sampler takes over from the level above was never in their training. A single step draws
/// nothing anyway.
MaybeFinding sampler_without_noise(const LintSubject& s) {
  if (!is_distilled(s) || s.request.sampling.steps == 1 || draws_noise(s)) return {};
  return Finding{
      fmt::format(
          "the sampler {} adds no noise between steps, and distilled models are made for samplers "
          "that do: expect blotches",
          s.request.sampling.sampler),
      "use --sampler lcm or euler_ancestral"};
}

/// The limits lie above the ComfyUI schedules that people call good with DMD2 at 5 to 8 steps (simple,
/// sgm_uniform, normal, beta, karras, exponential) and below those they call bad or odd (linear_quadratic,
/// ddim_uniform).
MaybeFinding schedule_off_grid(const LintSubject& s) {
  constexpr double kMissed = 1.0 / 3, kVisited = 1.25;
  if (!is_distilled(s)) return {};
  const auto trained = trained_sigmas(s.traits, s.plan.schedule);
  const GridDistance distance = grid_distance(s.plan.sigmas, trained);
  const bool can_meet_all = s.request.sampling.steps >= static_cast<int64_t>(trained.size());
  const bool misses = can_meet_all && distance.missed > kMissed;
  if (!misses && distance.visited <= kVisited) return {};
  return Finding{
      fmt::format("these noise levels are far from the {} that the model was distilled at: trained "
                  "levels are missed by "
                  "{:.2f}, levels used are {:.2f} off (mean |log sigma ratio|)",
                  trained.size(), distance.missed, distance.visited),
      "use --schedule dmd2 or sgm_uniform; \"fourstep inspect schedule --all\" compares"};
}

MaybeFinding cfg_burns(const LintSubject& s) {
  constexpr double kBurns = 1.5;
  const double scale = highest_cfg_scale(s.request.guidance, s.request.sampling.cfg_scale);
  if (!is_distilled(s) || scale <= kBurns) return {};
  return Finding{
      fmt::format(
          "CFG scale {} burns the pictures of a distilled model, which has its guidance inside",
          scale),
      fmt::format("use --cfg-scale 1, at most {}", kBurns)};
}

MaybeFinding too_many_steps(const LintSubject& s) {
  constexpr int64_t kUsefulFactor = 3;
  const int64_t made_for = distilled_steps(s.traits);
  if (!is_distilled(s) || s.request.sampling.steps <= kUsefulFactor * made_for) return {};
  return Finding{
      fmt::format("{} steps are beyond what helps a model distilled to {}: pictures get worse",
                  s.request.sampling.steps, made_for),
      fmt::format("use --steps {}, at most {}", made_for, kUsefulFactor * made_for)};
}

bool is_distilled_otherwise(const LintSubject& s) {
  const auto& loras = s.traits.loras;
  return mentions_other_distillation(s.traits.file_name) ||
         std::any_of(loras.begin(), loras.end(), [](const LoraTraits& lora) {
           return mentions_other_distillation(lora.file_name);
         });
}

MaybeFinding too_few_steps(const LintSubject& s) {
  constexpr int64_t kFewest = 10;
  if (is_distilled(s) || s.request.sampling.steps >= kFewest || is_distilled_otherwise(s))
    return {};
  return Finding{
      fmt::format("{} steps are too few for a model that is not distilled: expect a blur",
                  s.request.sampling.steps),
      "use --steps 20 to 30, or a DMD2 LoRA with --lora"};
}

std::string use_size(const LintSubject& s) {
  const ImageSize nearest =
      nearest_trained_size({s.request.width, s.request.height}, s.traits.native_side);
  return fmt::format("use --width {} --height {}, the nearest size of its training", nearest.width,
                     nearest.height);
}

MaybeFinding size_too_large(const LintSubject& s) {
  const ImageSize size{s.request.width, s.request.height};
  const double most = largest_megapixels(s.traits.native_side);
  const bool is_long = std::max(size.width, size.height) > 2 * s.traits.native_side;
  if (size.megapixels() <= most && !is_long) return {};
  return Finding{
      fmt::format(
          "{}x{} is {:.3g} megapixels, and the model was trained up to {:.3g}, sides up to {} px: "
          "subjects double",
          size.width, size.height, size.megapixels(), most, 2 * s.traits.native_side),
      use_size(s)};
}

MaybeFinding size_too_small(const LintSubject& s) {
  constexpr double kSmallestShare = 0.5;
  const ImageSize size{s.request.width, s.request.height};
  const ImageSize native{s.traits.native_side, s.traits.native_side};
  if (size.megapixels() >= kSmallestShare * native.megapixels()) return {};
  return Finding{
      fmt::format(
          "{}x{} is far below the {}x{} px that the model was trained at: expect crops and blur",
          size.width, size.height, native.width, native.height),
      use_size(s)};
}

MaybeFinding idle_negative_prompt(const LintSubject& s) {
  const GuidanceOptions& guidance = s.request.guidance;
  if (s.request.prompt.negative.empty() || has_nag(guidance) ||
      needs_uncond(guidance, s.request.sampling.cfg_scale, s.plan.sampler.needs.uncond)) {
    return {};
  }
  return Finding{"the negative prompt has no effect at CFG scale 1",
                 "leave it out, raise --cfg-scale, or use normalized attention guidance (NAG), "
                 "which works at CFG 1: --nag-scale 3"};
}

MaybeFinding idle_guidance(const LintSubject& s) {
  const auto idle = methods_without_effect(s.request.guidance, s.request.sampling.cfg_scale);
  if (idle.empty()) return {};
  return Finding{fmt::format("without effect at CFG scale 1: {}", fmt::join(idle, ", ")),
                 "leave it out or raise --cfg-scale"};
}

std::vector<std::string> names_of(const std::vector<LoraTraits>& loras,
                                  bool (*is_meant)(const LoraTraits&)) {
  std::vector<std::string> names;
  for (const LoraTraits& lora : loras) {
    if (is_meant(lora)) names.push_back(lora.file_name);
  }
  return names;
}

/// One number for both parts is how people write any LoRA; two of them mean that the second matters.
MaybeFinding missing_text_part(const LintSubject& s) {
  const auto names = names_of(s.traits.loras, [](const LoraTraits& lora) {
    return !lora.has_text_part && lora.text_weight != 0 &&
           lora.text_weight != lora.unet_weight.first();
  });
  if (names.empty()) return {};
  return Finding{fmt::format("{}: changes no text encoder, so its text weight has no effect",
                             fmt::join(names, ", ")),
                 "write FILE:WEIGHT"};
}

/// DMD2 LoRAs add up (two files at 0.5 are one at 1), at the step where each is strongest, also with one that was merged
/// into the checkpoint; a negative weight takes that one out again. Sliders and other LoRAs are made for wider ranges.
MaybeFinding lora_strength(const LintSubject& s) {
  constexpr double kLowest = -1, kHighest = 1.3, kLeast = 0.02;
  const double merged = merged_dmd2(s.traits), sum = dmd2_in_all(s.traits), in_use = sum - merged;
  if (in_use < 0 && std::abs(merged) < kLeast) {
    return Finding{
        fmt::format("the DMD2 LoRAs have weight {:.3g} in all, and nothing tells that one is "
                    "merged into {}",
                    in_use, s.traits.file_name),
        "use a negative weight only to take a merged one out; \"fourstep lora detect\" finds it"};
  }
  if (in_use == 0 || (sum >= kLowest && sum <= kHighest)) return {};
  const std::string merged_too =
      std::abs(merged) < kLeast
          ? ""
          : fmt::format(" with the {:.3g} merged into {}", merged, s.traits.file_name);
  return Finding{
      fmt::format("the DMD2 LoRAs have weight {:.3g} in all{}; outside of {} to {} pictures fall "
                  "apart",
                  sum, merged_too, kLowest, kHighest),
      sum > 0 ? fmt::format("use {:.3g} to {:.3g} in addition", 0.7 - merged, 1 - merged)
              : "use -0.85 to take a merged one out"};
}

MaybeFinding idle_loras(const LintSubject& s) {
  const auto names = names_of(s.traits.loras, [](const LoraTraits& lora) {
    return lora.unet_weight == 0 && (lora.text_weight == 0 || !lora.has_text_part);
  });
  if (names.empty()) return {};
  return Finding{fmt::format("{}: has weight 0 and no effect", fmt::join(names, ", ")),
                 "leave it out or give it a weight"};
}

/// An option that was given, and whether this run looks at it.
struct GivenOption {
  const char* flag;
  bool is_given, has_effect;
};

MaybeFinding idle_options(const LintSubject& s) {
  const Request& asked = s.asked;
  const bool has_schedule = uses_schedule(s.request.sampling);
  const bool has_rho =
      s.request.sampling.schedule == "karras" || s.request.sampling.schedule == "polyexponential";
  const bool can_draw = s.plan.sampler.needs.noise != NoiseKind::kNone;
  const GivenOption options[] = {
      {"--schedule", asked.sampling.schedule != "auto", has_schedule},
      {"--rho", asked.sampling.rho.has_value(), has_schedule && has_rho},
      {"--eta", asked.sampling.eta.has_value(), can_draw},
      {"--s-noise", asked.sampling.s_noise != 1, draws_noise(s) || asked.sampling.s_churn > 0},
      {"--ensd", asked.noise.ensd != 0, draws_noise(s)},
      {"--variation-seed", asked.noise.variation_seed != 0, asked.noise.variation_strength > 0},
  };
  std::vector<std::string> idle;
  for (const GivenOption& option : options) {
    if (option.is_given && !option.has_effect) idle.emplace_back(option.flag);
  }
  if (idle.empty()) return {};
  const char* reason = !asked.sampling.timesteps.empty() ? " (--timesteps replaces the schedule)"
                       : !asked.sampling.sigmas.empty()  ? " (--sigmas replaces the schedule)"
                                                         : "";
  return Finding{fmt::format("{} {} no effect here{}", fmt::join(idle, ", "),
                             idle.size() == 1 ? "has" : "have", reason),
                 idle.size() == 1 ? "leave it out" : "leave them out"};
}

/// To the grammar such a weight is text, and is drawn.
MaybeFinding mistyped_weights(const LintSubject& s) {
  if (s.request.prompt.rules.syntax == PromptSyntax::kPlain) return {};
  for (const std::string& prompt : {s.request.prompt.text, s.request.prompt.negative}) {
    if (const auto slip = find_weight_slip(prompt)) {
      return Finding{
          fmt::format("\"{}\" in the prompt is no weight but text{}", slip->text, slip->hint),
          "write (word:1.2)"};
    }
  }
  return {};
}

struct Rule {
  std::string_view code;
  MaybeFinding (*find)(const LintSubject&);
};

constexpr Rule kRules[] = {
    {"sampler-without-noise", sampler_without_noise},
    {"schedule-off-grid", schedule_off_grid},
    {"cfg-burns", cfg_burns},
    {"too-many-steps", too_many_steps},
    {"too-few-steps", too_few_steps},
    {"size-too-large", size_too_large},
    {"size-too-small", size_too_small},
    {"idle-negative-prompt", idle_negative_prompt},
    {"idle-guidance", idle_guidance},
    {"missing-text-part", missing_text_part},
    {"mistyped-weight", mistyped_weights},
    {"lora-strength", lora_strength},
    {"idle-lora", idle_loras},
    {"idle-options", idle_options},
};

}  // namespace

std::vector<LintFinding> lint(const LintSubject& subject) {
  std::vector<LintFinding> findings;
  for (const Rule& rule : kRules) {
    if (const MaybeFinding found = rule.find(subject)) {
      findings.push_back({std::string(rule.code), found->sentence, found->remedy});
    }
  }
  return findings;
}

std::vector<std::string_view> lint_codes() {
  std::vector<std::string_view> codes;
  for (const Rule& rule : kRules) codes.push_back(rule.code);
  return codes;
}

std::string text_of(const LintFinding& finding) { return finding.sentence + "; " + finding.remedy; }

nlohmann::ordered_json json_from(const std::vector<LintFinding>& findings) {
  auto list = nlohmann::ordered_json::array();
  for (const LintFinding& finding : findings) {
    list.push_back(
        {{"code", finding.code}, {"sentence", finding.sentence}, {"remedy", finding.remedy}});
  }
  return list;
}

}  // namespace fourstep
