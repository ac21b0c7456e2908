// fourstep evaluate: how well a model, the same without its LoRA, and its teacher draw what was
// asked for.

#include "evaluate/evaluate.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/field_options.h"
#include "cli/run_settings.h"
#include "emoji/evaluation.h"

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

Json json_of(const RowResult& row) {
  Json json = json_from_fields(row);
  for (const Share& share : row.shares) json[share.name()] = json_from(share.value);
  return json;
}

Json json_of(const EmojiEvaluateConfig& config, const Evaluation& evaluation) {
  Json rows = Json::array(), files = Json::array(), classifier = Json::object();
  for (const MeasuredRow& row : evaluation.rows) rows.push_back(json_of(row.result));
  for (const std::filesystem::path& file : evaluation.files) files.push_back(file.string());
  for (const JudgeTest& test : evaluation.judge_tests) {
    for (size_t i = 0; i < evaluation.questions.size(); ++i) {
      classifier[test.name][evaluation.questions[i]] = json_from(test.shares[i]);
    }
  }
  Json json{{"settings", json_from_fields(config)}};
  if (!classifier.empty()) json["classifier"] = classifier;
  for (const auto& [name, count] : evaluation.counts) {
    json[Share{"pictures", name}.name()] = count;
  }
  json["rows"] = rows;
  json["files"] = files;
  return json;
}

void evaluate(const EvaluateOptions& options) {
  const auto config = read_config<EmojiEvaluateConfig>(options.file, options.flags);
  set_threads(options.threads);
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.is_quiet);
  const Evaluation evaluation =
      evaluate_models(config.common, evaluation_subject(config), events_of(bar));
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
      "evaluate", "Fréchet distance, diversity and samples of a model, its base and its student");
  command->add_option("--config", options->file, "JSON file with settings")->type_name("");
  command->add_option("-t,--threads", options->threads, "processor threads; 0: all cores")
      ->type_name("");
  command->add_flag("--json", options->is_json, "print the result as JSON on standard output");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress, no notices");
  add_config_options(*command, EmojiEvaluateConfig(), options->flags, "lora");
  command->callback([options] { evaluate(*options); });
}

}  // namespace fourstep
