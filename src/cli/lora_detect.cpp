// fourstep lora detect, fingerprint, doctor: which LoRA is already merged into a checkpoint, and
// why one does nothing.

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/field_options.h"
#include "cli/run_settings.h"
#include "cli/workbench_options.h"
#include "engine/model_facts.h"
#include "io/fields_json.h"
#include "io/file_search.h"
#include "request/resolve.h"
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
  check_output(options.output, {options.base, options.lora}, {".json"});
  Fingerprint fingerprint = make_fingerprint(options.base, options.lora, events);
  if (!options.without_hashes) fingerprint.base_sha256 = sha256_of(options.base, events);
  write_fingerprint(options.output, fingerprint);
  bar.finish();
  fmt::print("{}: {} modules\n", options.output, fingerprint.modules.size());
}

struct DoctorCommand {
  Request request;
  PrintOptions print;
};

void run_doctor(const DoctorCommand& options) {
  if (options.request.files.loras.size() > 1) {
    throw InvalidRequest("lora doctor: name one --lora, as FILE or FILE:WEIGHT");
  }
  const Request request = with_default_model(options.request, find_default_model());
  if (request.files.loras.empty()) {
    throw InvalidRequest("lora doctor: name the --lora, as FILE or FILE:WEIGHT");
  }
  validate(request);
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.print.is_quiet);
  const LoraUse& lora = request.files.loras.front();
  Examination found = examine(request.files.model, lora.file, single_weight(lora), events_of(bar));
  bar.finish();
  const bool does_fit = !found.findings.front().is_problem;
  if (does_fit || (request.files.lora_partial && !found.losses.empty())) {
    for (const LintFinding& one : lint_request(request)) {
      found.findings.push_back({true, one.code, one.sentence, one.remedy});
    }
  }
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
  command->add_option("-o,--output,--out", options->output, "JSON file")->required();
  command->add_flag("--no-hashes", options->without_hashes, "leave the SHA-256 of BASE out");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress bar");
  command->callback([options] { run_fingerprint(*options); });
}

void add_doctor(CLI::App& lora) {
  auto options = std::make_shared<DoctorCommand>();
  CLI::App* command =
      lora.add_subcommand("doctor", "why a LoRA does nothing or looks wrong on a model");
  add_request_options(*command, options->request);
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
