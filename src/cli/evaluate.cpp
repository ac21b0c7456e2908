// fourstep evaluate: how well a model, the same without its LoRA, and its teacher draw what was asked for.

#include "evaluate/evaluate.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/config_options.h"
#include "cli/run_settings.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;

struct EvaluateOptions {
  std::string file;
  FlagTexts flags;
  bool is_json = false;
  bool is_quiet = false;
  int64_t threads = 0;
};

Json json_of(const Accuracy& accuracy) {
  return {{"emoji", json_from(accuracy.emoji)},
          {"background", json_from(accuracy.background)},
          {"relation", json_from(accuracy.relation)},
          {"all", json_from(accuracy.all)}};
}

Json json_of(const EvaluateConfig& config, const Evaluation& evaluation) {
  Json rows = Json::array(), files = Json::array();
  for (const MeasuredRow& row : evaluation.rows) rows.push_back(json_from_fields(row.result));
  for (const std::filesystem::path& file : evaluation.files) files.push_back(file.string());
  return {{"settings", json_from_fields(config)},
          {"classifier",
           {{"drawn", json_of(evaluation.judge.drawn)},
            {"augmented", json_of(evaluation.judge.augmented)}}},
          {"pictures_seen", evaluation.num_seen},
          {"pictures_held_out", evaluation.num_held_out},
          {"rows", rows},
          {"files", files}};
}

void evaluate(const EvaluateOptions& options) {
  const auto config = read_config<EvaluateConfig>(options.file, options.flags);
  set_threads(options.threads);
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.is_quiet);
  const Evaluation evaluation = evaluate_models(config, events_of(bar));
  bar.finish();
  if (options.is_json) {
    fmt::print("{}\n", dump_json(json_of(config, evaluation), 2));
    return;
  }
  fmt::print("{}", text_from_table(evaluation_table(evaluation.rows)));
  if (options.is_quiet) return;
  for (const std::filesystem::path& file : evaluation.files) {
    fmt::print(stderr, "{}\n", file.string());
  }
}

}  // namespace

void add_evaluate_command(CLI::App& app) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command = app.add_subcommand(
      "evaluate", "accuracy, Fréchet distance and diversity of a model on drawn emoji");
  command->add_option("--config", options->file, "JSON file with settings")->type_name("");
  command->add_option("-t,--threads", options->threads, "processor threads; 0: all cores")
      ->type_name("");
  command->add_flag("--json", options->is_json, "print the result as JSON on standard output");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress, no notices");
  add_config_options(*command, EvaluateConfig(), options->flags, "lora");
  command->callback([options] { evaluate(*options); });
}

}  // namespace fourstep
