#include "pipeline/prompt_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/dialect.h"
#include "guidance/guidance_options.h"
#include "pipeline/textual_inversions.h"
#include "sampling/samplers.h"
#include "text/prompt_scan.h"
#include "text/prompt_schedule.h"

namespace fourstep {

namespace {

/// ComfyUI's own parser leaves these to the part of the program that chooses between "{a|b}".
std::string without_brace_escapes(const std::string& prompt) {
  std::string text;
  for (size_t i = 0; i < prompt.size(); ++i) {
    const bool is_escape = prompt[i] == '\\' && i + 1 < prompt.size() &&
                           std::string_view("{|}").find(prompt[i + 1]) != std::string_view::npos;
    if (!is_escape) text += prompt[i];
  }
  return text;
}

using Schedule = std::vector<ScheduledText>;

const std::string& text_at(const Schedule& schedule, int64_t call) {
  const auto found = std::find_if(schedule.begin(), schedule.end(),
                                  [&](const ScheduledText& s) { return call <= s.last_call; });
  return (found == schedule.end() ? schedule.back() : *found).text;
}

TextPlan unchanging(StageTexts texts) { return {{std::move(texts)}, {{0, 0}}}; }

TextPlan plan_scheduled(const ResolvedRequest& request) {
  const int64_t calls_per_step = find_sampler(request.sampling.sampler).a1111.two_calls ? 2 : 1;
  const PromptClock clock{
      request.sampling.steps * calls_per_step, {}, request.prompt.old_prompt_schedules};
  const auto parts = parse_composition(parse_network_tags(request.prompt.text).text);
  std::vector<Schedule> schedules;
  for (const WeightedText& part : parts) {
    schedules.push_back(parse_prompt_schedule(part.text, clock));
  }
  const Schedule negative = parse_prompt_schedule(request.prompt.negative, clock);
  std::set<int64_t> ends;
  for (const ScheduledText& text : negative) ends.insert(text.last_call);
  for (const Schedule& schedule : schedules) {
    for (const ScheduledText& text : schedule) ends.insert(text.last_call);
  }
  TextPlan plan;
  for (const int64_t end : ends) {
    StageTexts texts{parts, text_at(negative, end)};
    for (size_t i = 0; i < parts.size(); ++i) texts.parts[i].text = text_at(schedules[i], end);
    const auto known = std::find(plan.stages.begin(), plan.stages.end(), texts);
    plan.spans.push_back({end, static_cast<size_t>(known - plan.stages.begin())});
    if (known == plan.stages.end()) plan.stages.push_back(std::move(texts));
  }
  return plan;
}

void add_once(std::vector<std::filesystem::path>& files, const std::filesystem::path& file) {
  if (std::find(files.begin(), files.end(), file) == files.end()) files.push_back(file);
}

/// What all texts of a request have in common on their way through the encoders.
class PromptEncoder {
 public:
  PromptEncoder(Models& models, const ResolvedRequest& request, const Events& events,
                EncodingCache& cache)
      : models_(models), events_(events), cache_(cache) {
    const ResolvedPrompt& prompt = request.prompt;
    options_.rules = prompt.rules;
    options_.clip_skip = prompt.clip_skip;
    const std::vector<InversionBundle> bundles = models.inversion_bundles();
    empty_negative_ = prompt.zero_empty_negative ? EmptyPrompt::kZero : EmptyPrompt::kEncode;
    const std::string settings =
        fmt::format("{} {} {} {} {}", dialect_name(request.sampling.dialect),
                    static_cast<int>(prompt.rules.emphasis), prompt.clip_skip,
                    text_from_value(prompt.embedding_dir), text_from_value(models.loras()));
    const bool is_new = cache.settings != settings;
    if (is_new) cache = {.settings = settings, .max_bytes = cache.max_bytes};
    if (prompt.embedding_dir.empty() && bundles.empty()) return;
    std::vector<int64_t> widths;
    for (const TextEncoder& encoder : encoders().encoders) {
      widths.push_back(encoder.model.config.width);
    }
    InversionFiles files = open_inversions(prompt.embedding_dir, widths, bundles);
    for (const std::string& note : files.notes) {
      if (is_new) events.notice(note);
    }
    use_inversions(std::move(files));
  }

  Conditioning prompt(const std::string& text) { return encode(text, EmptyPrompt::kEncode); }
  Conditioning negative(const std::string& text) { return encode(text, empty_negative_); }

  /// Of all texts so far; see PromptPlan.
  const std::vector<std::filesystem::path>& inversions() const { return used_; }

 private:
  /// A bundled one has no file of its own to be named.
  void use_inversions(InversionFiles files) {
    inversions_ = files.table;
    inversions_.vectors = [this, files = std::move(files)](size_t index, size_t encoder) {
      if (!files.paths.at(index).empty()) add_once(used_by_text_, files.paths.at(index));
      return files.table.vectors(index, encoder);
    };
    options_.inversions = &inversions_;
  }

  Conditioning encode(const std::string& text, EmptyPrompt empty) {
    const std::string key = empty == EmptyPrompt::kZero && text.empty() ? "zeros" : "text " + text;
    auto known = cache_.by_text.find(key);
    if (known == cache_.by_text.end()) {
      options_.empty = empty;
      used_by_text_.clear();
      const Conditioning cond = encode_prompt(encoders(), text, options_);
      remember(key, {cond, used_by_text_});
      known = cache_.by_text.find(key);
    }
    for (const std::filesystem::path& file : known->second.inversions) add_once(used_, file);
    return known->second.cond;
  }

  /// Loaded when a text is new.
  const TextEncoders& encoders() {
    if (!encoders_) encoders_ = models_.text_encoders(events_);
    return *encoders_;
  }

  static uint64_t bytes_of(const EncodedText& text) {
    uint64_t bytes = 0;
    for (const Tensor& part : {text.cond.context, text.cond.pooled}) {
      if (part.defined()) bytes += part.nbytes();
    }
    return bytes;
  }

  void remember(const std::string& key, EncodedText text) {
    cache_.bytes += bytes_of(text);
    cache_.by_text.insert({key, std::move(text)});
    cache_.order.push_back(key);
    while (cache_.bytes > cache_.max_bytes && cache_.order.size() > 1) {
      const auto oldest = cache_.by_text.find(cache_.order.front());
      cache_.bytes -= bytes_of(oldest->second);
      cache_.by_text.erase(oldest);
      cache_.order.pop_front();
    }
  }

  Models& models_;
  const Events& events_;
  std::optional<TextEncoders> encoders_;
  EncodingCache& cache_;
  InversionTable inversions_;
  PromptOptions options_;
  EmptyPrompt empty_negative_ = EmptyPrompt::kEncode;
  std::vector<std::filesystem::path> used_,
      used_by_text_;  ///< the latter of the text being encoded
};

Prompts encode_stage(PromptEncoder& encoder, const StageTexts& texts,
                     const ResolvedRequest& request) {
  Prompts prompts;
  prompts.cond = encoder.prompt(texts.parts[0].text);
  prompts.weight = texts.parts[0].weight;
  for (size_t i = 1; i < texts.parts.size(); ++i) {
    prompts.others.push_back({encoder.prompt(texts.parts[i].text), texts.parts[i].weight});
  }
  if (uses_negative(request, texts)) prompts.uncond = encoder.negative(texts.negative);
  if (has_nag(request.guidance)) prompts.nag = encoder.prompt(nag_text(request, texts));
  if (is_method_on(request.guidance, "perp_neg")) prompts.empty = encoder.prompt("");
  return prompts;
}

void report_references_without_folder(const Models& models, const ResolvedRequest& request,
                                      const Events& events) {
  const bool is_comfy = request.prompt.rules.syntax == PromptSyntax::kComfy;
  const bool has_names =
      !request.prompt.embedding_dir.empty() || !models.inversion_bundles().empty();
  if (!is_comfy || has_names) return;
  if (has_inversion_reference(request.prompt.text) ||
      has_inversion_reference(request.prompt.negative)) {
    events.notice("\"embedding:\" in the prompt is text as long as no --embedding-dir is given");
  }
}

}  // namespace

TextPlan plan_texts(const ResolvedRequest& request) {
  switch (request.prompt.rules.syntax) {
    case PromptSyntax::kA1111:
      return plan_scheduled(request);
    case PromptSyntax::kComfy:
      return unchanging({{{without_brace_escapes(request.prompt.text), 1}},
                         without_brace_escapes(request.prompt.negative)});
    case PromptSyntax::kPlain:
      break;
  }
  return unchanging({{{request.prompt.text, 1}}, request.prompt.negative});
}

bool uses_negative(const ResolvedRequest& request, const StageTexts& texts) {
  double total_weight = 0;
  for (const WeightedText& part : texts.parts) total_weight += part.weight;
  return needs_uncond(request.guidance, request.sampling.cfg_scale,
                      find_sampler(request.sampling.sampler).needs.uncond) ||
         !is_neutral_scale(total_weight);
}

const std::string& nag_text(const ResolvedRequest& request, const StageTexts& texts) {
  const std::string& own = request.guidance.nag.prompt;
  return own.empty() ? texts.negative : own;
}

PromptPlan encode_prompts(Models& models, const ResolvedRequest& request, const Events& events,
                          EncodingCache& cache) {
  const torch::NoGradGuard no_grad;
  report_references_without_folder(models, request, events);
  PromptEncoder encoder(models, request, events, cache);
  const TextPlan texts = plan_texts(request);
  PromptPlan plan{{}, texts.spans, {}};
  const auto count = static_cast<int64_t>(texts.stages.size());
  for (const StageTexts& stage : texts.stages) {
    events.report({Stage::kEncode, static_cast<int64_t>(plan.stages.size()), count});
    plan.stages.push_back(encode_stage(encoder, stage, request));
  }
  events.report({Stage::kEncode, count, count});
  plan.inversions = encoder.inversions();
  return plan;
}

PromptPlan encode_prompts(Models& models, const ResolvedRequest& request, const Events& events) {
  EncodingCache cache;
  return encode_prompts(models, request, events, cache);
}

}  // namespace fourstep
