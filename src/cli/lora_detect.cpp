// fourstep lora detect, fingerprint, doctor: which LoRA a checkpoint already wears, and why one does nothing.

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/run_settings.h"
#include "cli/workbench_options.h"
#include "io/fields_json.h"
#include "pipeline/request.h"
#include "workbench/detect_report.h"
#include "workbench/merge_metadata.h"

namespace fourstep {

namespace {

struct DetectCommand {
  DetectOptions what;
  PrintOptions print;
};

void run_detect(const DetectCommand& options) {
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.print.is_quiet);
  const Detection found = detect(options.what.checkpoint, options.what.settings(), events_of(bar));
  bar.finish();
  fmt::print("{}", options.print.is_json ? dump_json(json_of(found), 1) + "\n" : text_of(found));
}

struct FingerprintCommand {
  std::string base, lora, output;
  bool without_hashes = false, is_quiet = false;
};

void run_fingerprint(const FingerprintCommand& options) {
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.is_quiet);
  const Events events = events_of(bar);
  Fingerprint fingerprint = make_fingerprint(options.base, options.lora, events);
  if (!options.without_hashes) fingerprint.base_sha256 = sha256_of(options.base, events);
  write_fingerprint(options.output, fingerprint);
  bar.finish();
  fmt::print("{}: {} modules\n", options.output, fingerprint.modules.size());
}

struct DoctorCommand {
  std::string model, lora;
  PrintOptions print;
};

void run_doctor(const DoctorCommand& options) {
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.print.is_quiet);
  std::vector<LoraUse> uses;
  value_from_text(FieldInfo{"lora", ""}, options.lora, uses);
  if (uses.size() != 1) {
    throw InvalidRequest("--lora \"{}\": name one file, as FILE or FILE:WEIGHT", options.lora);
  }
  const Examination found =
      examine(options.model, uses.front().file, uses.front().unet_weight, events_of(bar));
  bar.finish();
  fmt::print("{}", options.print.is_json ? dump_json(json_of(found), 1) + "\n" : text_of(found));
}

void add_detect(CLI::App& lora) {
  auto options = std::make_shared<DetectCommand>();
  CLI::App* command =
      lora.add_subcommand("detect", "is this LoRA in that checkpoint, and how strongly");
  add_detect_options(*command, options->what);
  add_print_options(*command, options->print);
  command->callback([options] { run_detect(*options); });
}

void add_fingerprint(CLI::App& lora) {
  auto options = std::make_shared<FingerprintCommand>();
  CLI::App* command =
      lora.add_subcommand("fingerprint", "what lora detect needs of a base model, in a small file");
  command->add_option("BASE", options->base, "checkpoint file or diffusers folder")
      ->type_name("")
      ->required();
  command->add_option("--lora", options->lora, "the LoRA to look for later")->required();
  command->add_option("-o,--output", options->output, "JSON file")->required();
  command->add_flag("--no-hashes", options->without_hashes, "leave the SHA-256 of BASE out");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress bar");
  command->callback([options] { run_fingerprint(*options); });
}

void add_doctor(CLI::App& lora) {
  auto options = std::make_shared<DoctorCommand>();
  CLI::App* command =
      lora.add_subcommand("doctor", "why a LoRA does nothing or looks wrong on a model");
  command->add_option("--model", options->model, "checkpoint file or diffusers folder")->required();
  command->add_option("--lora", options->lora, "FILE or FILE:WEIGHT")->required();
  add_print_options(*command, options->print);
  command->callback([options] { run_doctor(*options); });
}

}  // namespace

void add_lora_detect_verbs(CLI::App& lora) {
  add_detect(lora);
  add_fingerprint(lora);
  add_doctor(lora);
}

}  // namespace fourstep
