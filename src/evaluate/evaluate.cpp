#include "evaluate/evaluate.h"

#include <set>

#include "base/error.h"
#include "pipeline/precision.h"
#include "request/file_tags.h"

namespace fourstep {

namespace {

/// Name, size and time of change: a file that was replaced gives other numbers. Without folders: it
/// stands in files that may be given to others.
std::string identity_of(const std::string& file) {
  const std::string name = shared_name(file);
  if (!std::filesystem::exists(file)) return name;
  const bool has_size = std::filesystem::is_regular_file(file);
  return fmt::format("{} ({} bytes, {})", name, has_size ? std::filesystem::file_size(file) : 0,
                     std::filesystem::last_write_time(file).time_since_epoch().count());
}

/// What decides the numbers of all rows.
std::string common_settings(const EvaluateConfig& config, const EvaluationSubject& subject,
                            int64_t side, const PictureJudge& judge) {
  return fmt::format(
      "evaluation 3, {}, {} px, {}, {} on {}, autoencoder {}, seed {}, diversity {}x{}",
      judge.settings, side, subject.settings, config.precision,
      device_from_text(config.device).str(), identity_of(config.model), config.seed,
      config.diversity_prompts, config.diversity_samples);
}

std::string row_settings(const std::string& common, const EvaluationRow& row) {
  const SamplingSettings& sampling = row.sampling;
  std::string text =
      fmt::format("{}; {} {}, {}, {}, {} steps, timesteps {}, cfg {}", common, to_string(row.kind),
                  identity_of(row.model), sampling.sampler, sampling.schedule, row.steps(),
                  fmt::join(sampling.timesteps, ","), sampling.cfg_scale.value_or(1));
  std::vector<LoraUse> loras = row.loras;
  for (LoraUse& lora : loras) lora.file = identity_of(lora.file);
  return text + ", " + text_from_value(loras);
}

std::filesystem::path row_path(const EvaluateConfig& config, const EvaluationRow& row) {
  return std::filesystem::path(config.out) / "rows" /
         fmt::format("{}-{}.safetensors", to_string(row.kind), row.steps());
}

std::vector<std::string> sheet_captions(const PromptSets& sets) {
  std::vector<std::string> captions;
  for (const PromptSet& set : sets.judged) {
    const size_t count = std::min(set.captions.size(), kSheetPictures);
    captions.insert(captions.end(), set.captions.begin(),
                    set.captions.begin() + static_cast<int64_t>(count));
  }
  return captions;
}

/// What the rows need while they are measured; the reference is made when the first row asks for
/// it.
struct Work {
  const EvaluateConfig& config;
  const EvaluationSubject& subject;
  Measuring measuring;
  int64_t side = 0;  ///< of the pictures, in px
  OpenModel open = {};
  std::optional<Reference> reference = {};

  Models& model(const std::string& file, const std::vector<LoraUse>& loras) {
    return model_of(open, file, loras, placement_of(config), measuring.events);
  }
  /// --model without LoRAs; null where none is named.
  Models* plain_model() { return config.model.empty() ? nullptr : &model(config.model, {}); }
};

MeasuredRow measure(Work& work, const EvaluationRow& row) {
  const EvaluationSubject& subject = work.subject;
  if (!work.reference) {
    work.reference = subject.reference
                         ? subject.reference(work.plain_model(), work.side, work.measuring)
                         : Reference();
  }
  const PictureSource source =
      row.model.empty() ? subject.real(work.plain_model())
                        : sampled_pictures(work.model(row.model, row.loras), row, work.side);
  return measure_row(row, source, subject.sets, *work.reference, work.measuring);
}

/// The subject's, or the native one of the model.
int64_t find_side(Work& work) {
  if (work.subject.side > 0) return work.subject.side;
  const int64_t side = work.plain_model()->traits().native_side;
  work.measuring.events.notice(
      fmt::format("evaluate: pictures of {0}x{0} px, the native size of {1}", side,
                  shared_name(work.config.model)));
  return side;
}

/// Before hours of work: models that cannot be opened or sampled, LoRAs that do not fit.
void check_rows(Work& work, const std::vector<EvaluationRow>& rows) {
  std::set<std::string> told;
  for (const EvaluationRow& row : rows) {
    if (row.model.empty()) continue;
    check_side(work.model(row.model, row.loras), work.side);
    for (const std::string& line : work.open.lora_lines) {
      if (told.insert(line).second) work.measuring.events.notice(line);
    }
  }
}

}  // namespace

Evaluation evaluate_models(const EvaluateConfig& config, const EvaluationSubject& subject,
                           const Events& events) {
  const std::vector<EvaluationRow> rows = rows_of(config, static_cast<bool>(subject.real));
  Work work{config, subject, {{}, config.batch, events}};
  work.side = find_side(work);
  check_rows(work, rows);
  if (subject.open_judge) work.measuring.judge = subject.open_judge(events);
  Evaluation evaluation{.judge_tests = work.measuring.judge.tests,
                        .questions = work.measuring.judge.questions};
  for (const PromptSet& set : subject.sets.judged) {
    evaluation.counts.emplace_back(set.name, set.count());
  }
  evaluation.sheet_captions = sheet_captions(subject.sets);
  const std::string common = common_settings(config, subject, work.side, work.measuring.judge);
  for (const EvaluationRow& row : rows) {
    const std::string settings = row_settings(common, row);
    std::optional<MeasuredRow> measured = load_row(row_path(config, row), settings);
    if (!measured) {
      measured = measure(work, row);
      save_row(row_path(config, row), *measured, settings);
    }
    evaluation.rows.push_back(std::move(*measured));
    write_evaluation(config, evaluation);
  }
  return evaluation;
}

}  // namespace fourstep
