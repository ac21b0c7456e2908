#include "evaluate/evaluate.h"

#include "data/emoji_pack.h"
#include "evaluate/measure.h"
#include "pipeline/precision.h"
#include "pipeline/shared_names.h"

namespace fourstep {

namespace {

/// Name, size and time of change: a file that was replaced gives other numbers. Without folders: it stands in files that may
/// be given to others.
std::string identity_of(const std::string& file) {
  const std::string name = shared_name(file);
  if (!std::filesystem::exists(file)) return name;
  const bool has_size = std::filesystem::is_regular_file(file);
  return fmt::format("{} ({} bytes, {})", name, has_size ? std::filesystem::file_size(file) : 0,
                     std::filesystem::last_write_time(file).time_since_epoch().count());
}

/// What decides the numbers of all rows.
std::string common_settings(const EvaluateConfig& config, const EmojiData& data,
                            const Judge& judge) {
  std::string text = fmt::format(
      "evaluation 1, {}, {} on {}, autoencoder {}, seed {}, samples {}, prompts {}, diversity "
      "{}x{}",
      judge.settings, config.precision, device_from_text(config.device).str(),
      identity_of(config.model), config.seed, config.samples, config.prompts,
      config.diversity_prompts, config.diversity_samples);
  visit_fields(data.config(), [&](const FieldInfo& field, const auto& value) {
    text += fmt::format(", {} {}", field.name, text_from_value(value));
  });
  return text;
}

std::string row_settings(const std::string& common, const EvaluationRow& row) {
  const SampleOptions& sampling = row.sampling;
  std::string text =
      fmt::format("{}; {} {}, {}, {}, {} steps, timesteps {}, cfg {}", common, to_string(row.kind),
                  identity_of(row.model), sampling.sampler, sampling.schedule, sampling.steps,
                  fmt::join(sampling.timesteps, ","), sampling.cfg_scale);
  for (const LoraUse& lora : row.loras) {
    text +=
        fmt::format(", {}:{}:{}", identity_of(lora.file), single_weight(lora), lora.text_weight);
  }
  return text;
}

std::filesystem::path row_path(const EvaluateConfig& config, const EvaluationRow& row) {
  return std::filesystem::path(config.out) / "rows" /
         fmt::format("{}-{}.safetensors", to_string(row.kind), row.steps());
}

std::vector<std::string> sheet_captions(const PromptSets& sets, const MeasuredRow& row) {
  std::vector<std::string> captions;
  const auto num_pictures = static_cast<size_t>(row.sheet.size(0));
  const size_t num_seen = std::min(sets.seen.captions.size(), kSheetPictures);
  for (size_t i = 0; i < num_pictures; ++i) {
    captions.push_back(i < num_seen ? sets.seen.captions.at(i)
                                    : sets.held_out.captions.at(i - num_seen));
  }
  return captions;
}

/// What the rows need while they are measured; the reference is made when the first row asks for it.
struct Work {
  const EvaluateConfig& config;
  const EmojiData& data;
  const PromptSets& sets;
  Measuring measuring;
  OpenModel open = {};
  std::optional<Reference> reference = {};
};

PictureSource source_of(Work& work, const EvaluationRow& row) {
  const EvaluateConfig& config = work.config;
  const Events& events = work.measuring.events;
  if (!row.model.empty()) {
    Models& models = model_of(work.open, row.model, row.loras, placement_of(config), events);
    return sampled_pictures(models, row, work.data.config().image_size);
  }
  if (config.model.empty()) return rendered_pictures(work.data, nullptr);
  return rendered_pictures(work.data,
                           &model_of(work.open, config.model, {}, placement_of(config), events));
}

MeasuredRow measure(Work& work, const EvaluationRow& row) {
  if (!work.reference) {
    work.reference = make_reference(source_of(work, {}), work.sets.reference, work.measuring);
  }
  return measure_row(row, source_of(work, row), work.sets, *work.reference, work.measuring);
}

/// Before hours of work: models that cannot be opened or sampled, LoRAs that do not fit.
void check_rows(Work& work, const std::vector<EvaluationRow>& rows) {
  std::set<std::string> told;
  for (const EvaluationRow& row : rows) {
    if (row.model.empty()) continue;
    const Events& events = work.measuring.events;
    check_model(model_of(work.open, row.model, row.loras, placement_of(work.config), events),
                work.data.config().image_size);
    for (const std::string& line : work.open.lora_lines) {
      if (told.insert(line).second) events.notice(line);
    }
  }
}

/// The seed is not that of the evaluation: other prompts need no other judge.
ClassifierTraining training_of(const EvaluateConfig& config) {
  return {.iterations = config.classifier_iterations,
          .batch = config.classifier_batch,
          .lr = config.classifier_lr,
          .num_tests = config.classifier_tests};
}

std::filesystem::path classifier_folder(const EvaluateConfig& config) {
  if (!config.classifier.empty()) return config.classifier;
  return std::filesystem::path(config.out) / "classifier";
}

}  // namespace

Evaluation evaluate_models(const EvaluateConfig& config, const Events& events) {
  const std::vector<EvaluationRow> rows = rows_of(config);
  const EmojiData data = open_emoji_data(config.emoji, config.model);
  const PromptSets sets = make_prompt_sets(data, config);
  Work work{config, data, sets, {Classifier(nullptr), config.batch, events}};
  check_rows(work, rows);
  Evaluation evaluation;
  evaluation.judge = open_judge(data, training_of(config), classifier_folder(config), events);
  work.measuring.classifier = evaluation.judge.classifier;
  evaluation.num_seen = sets.seen.count();
  evaluation.num_held_out = sets.held_out.count();
  const std::string common = common_settings(config, data, evaluation.judge);
  for (const EvaluationRow& row : rows) {
    const std::string settings = row_settings(common, row);
    std::optional<MeasuredRow> measured = load_row(row_path(config, row), settings);
    if (!measured) {
      measured = measure(work, row);
      save_row(row_path(config, row), *measured, settings);
    }
    evaluation.sheet_captions = sheet_captions(sets, *measured);
    evaluation.rows.push_back(std::move(*measured));
    write_evaluation(config, evaluation);
  }
  return evaluation;
}

}  // namespace fourstep
