// fourstep model VERB: what a checkpoint is, and verbs that write one (merge, convert, unbake,
// topup).

#include <fmt/format.h>
#include <unistd.h>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/run_settings.h"
#include "cli/workbench_options.h"
#include "io/fields_json.h"
#include "io/model_info.h"
#include "io/weight_files.h"
#include "pipeline/tokenizer_files.h"
#include "request/request.h"
#include "workbench/detect_report.h"
#include "workbench/merge.h"

namespace fourstep {

namespace {

constexpr double kMB = 1e6;

struct ModelMergeCommand {
  std::string base, output;
  std::vector<std::string> loras;
  bool is_partial_allowed = false, is_quiet = false;
  StorageOptions storage;
  ModelPaths parts;
};

MergeSettings settings_of(const StorageOptions& options) {
  MergeSettings settings;
  settings.storage = options.storage();
  settings.rounding = options.rounding_rule();
  settings.seed = options.seed;
  settings.with_hashes = !options.without_hashes;
  return settings;
}

void print_report(const std::string& output, const MergeReport& report) {
  for (const std::string& notice : report.notices) fmt::print(stderr, "note: {}\n", notice);
  for (const std::string& lora : report.loras) fmt::print("{}\n", lora);
  fmt::print("{}: {} tensors, {} changed, {:.1f} MB\n", output, report.num_tensors,
             report.num_changed, static_cast<double>(report.num_bytes) / kMB);
}

void run_model_merge(const ModelMergeCommand& options) {
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.is_quiet);
  MergeSettings settings = settings_of(options.storage);
  settings.is_partial_allowed = options.is_partial_allowed;
  settings.parts = options.parts;
  for (const std::string& text : options.loras) {
    std::vector<LoraUse> uses;
    value_from_text(FieldInfo{"lora", ""}, text, uses);
    for (const LoraUse& use : uses) {
      settings.loras.push_back({use.file, single_weight(use), use.text_weight});
    }
  }
  const MergeReport report =
      merge_into_file(options.base, settings, options.output, events_of(bar));
  bar.finish();
  print_report(options.output, report);
}

struct ModelConvertCommand {
  std::string input, output;
  bool is_quiet = false;
  StorageOptions storage;
  ModelPaths parts;
};

void run_model_convert(const ModelConvertCommand& options) {
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.is_quiet);
  const bool is_folder = std::filesystem::path(options.output).extension() != ".safetensors";
  MergeSettings settings = settings_of(options.storage);
  settings.parts = options.parts;
  std::map<std::string, std::string> tokenizers;
  if (is_folder) {
    ModelPaths paths = options.parts;
    paths.model = options.input;
    tokenizers = tokenizer_files(open_model_parts(paths).checkpoint);
  }
  const MergeReport report =
      convert_model(options.input, settings, options.output, events_of(bar), tokenizers);
  bar.finish();
  print_report(options.output, report);
}

struct RebalanceCommand {
  DetectOptions what;
  std::string output;
  double target = 0;
  bool is_forced = false;
  StorageOptions storage;
  PrintOptions print;
};

void run_rebalance(const RebalanceCommand& options) {
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.print.is_quiet);
  RebalanceSettings settings;
  settings.detect = options.what.settings();
  if (!std::isfinite(options.target)) {
    throw InvalidRequest("--to {}: expected a number, for instance 0.7", options.target);
  }
  settings.target = options.target;
  settings.is_forced = options.is_forced;
  settings.merge = settings_of(options.storage);
  const Rebalance done =
      rebalance(options.what.checkpoint, settings, options.output, events_of(bar));
  bar.finish();
  if (options.print.is_json) {
    const nlohmann::ordered_json json{
        {"weight", done.weight}, {"before", json_of(done.before)}, {"after", json_of(done.after)}};
    fmt::print("{}\n", dump_json(json, 1));
    return;
  }
  fmt::print("before: {}\nmerged at {:+.4f}\nafter:  {}\n", strength_text(done.before.estimate),
             done.weight, strength_text(done.after.estimate));
  print_report(options.output, done.merge);
}

void add_model_merge(CLI::App& model) {
  auto options = std::make_shared<ModelMergeCommand>();
  CLI::App* command = model.add_subcommand("merge", "LoRAs into a checkpoint, for good");
  command->add_option("BASE", options->base, "checkpoint file or diffusers folder")
      ->type_name("")
      ->required();
  command
      ->add_option("--lora", options->loras,
                   "FILE or FILE:WEIGHT (negative weights take it out); may be repeated")
      ->required();
  command->add_option("-o,--output,--out", options->output, "the new .safetensors file")
      ->required();
  add_storage_options(*command, options->storage);
  add_part_options(*command, options->parts);
  command->add_flag("--lora-partial", options->is_partial_allowed,
                    "apply the modules that fit, where not all do");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress bar");
  command->callback([options] { run_model_merge(*options); });
}

void add_model_convert(CLI::App& model) {
  auto options = std::make_shared<ModelConvertCommand>();
  CLI::App* command = model.add_subcommand(
      "convert", "a checkpoint in another type or layout: single file or diffusers folder");
  command->add_option("IN", options->input, "checkpoint file or diffusers folder")
      ->type_name("")
      ->required();
  command
      ->add_option("OUT", options->output, "NAME.safetensors, or a folder that does not exist yet")
      ->type_name("")
      ->required();
  add_storage_options(*command, options->storage);
  add_part_options(*command, options->parts);
  command->add_flag("-q,--quiet", options->is_quiet, "no progress bar");
  command->callback([options] { run_model_convert(*options); });
}

CLI::App* add_rebalance(CLI::App& model, const char* name, const char* help,
                        const std::shared_ptr<RebalanceCommand>& options) {
  CLI::App* command = model.add_subcommand(name, help);
  add_detect_options(*command, options->what);
  command->add_option("-o,--output,--out", options->output, "the new .safetensors file")
      ->required();
  add_storage_options(*command, options->storage);
  command->add_flag("--force", options->is_forced, "write although the measure speaks against it");
  add_print_options(*command, options->print);
  command->callback([options] { run_rebalance(*options); });
  return command;
}

void add_model_write_verbs(CLI::App& model) {
  add_model_merge(model);
  add_model_convert(model);
  add_rebalance(model, "unbake", "take a LoRA out of a checkpoint, as strongly as it is in it",
                std::make_shared<RebalanceCommand>());
  auto topup = std::make_shared<RebalanceCommand>();
  topup->target = 1;
  CLI::App* command =
      add_rebalance(model, "topup", "bring the LoRA in a checkpoint to another strength", topup);
  command->add_option("--to", topup->target, "strength afterwards: 1 all of it, 0 none")
      ->check(CLI::Range(-100.0, 100.0));
}

struct InspectOptions {
  std::string path;
  bool without_hashes = false;
  bool is_json = false;
};

void inspect(const InspectOptions& options) {
  ModelInfo info = describe_model(options.path);
  if (!options.without_hashes && is_whole_file(options.path)) {
    catch_interrupts();
    info.hashes = compute_hashes(options.path, [](uint64_t, uint64_t) {
      if (is_interrupted()) throw Cancelled();
    });
  }
  fmt::print("{}", options.is_json ? model_info_json(info) + "\n" : model_info_text(info));
}

}  // namespace

void add_model_command(CLI::App& app) {
  CLI::App* model = app.add_subcommand("model", "look at checkpoints, merge, convert");
  model->require_subcommand(1);
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      model->add_subcommand("inspect", "family, parts, types, metadata, what is missing");
  command->add_option("FILE", options->path, "checkpoint file or diffusers folder")
      ->type_name("")
      ->required();
  command->add_flag(
      "--no-hashes", options->without_hashes,
      "leave out AutoV1, AutoV2, AutoV3 and SHA-256, for which the whole file is read");
  command->add_flag("--json", options->is_json, "print JSON");
  command->callback([options] { inspect(*options); });
  add_model_write_verbs(*model);
}

}  // namespace fourstep
