// fourstep distill: DMD2 on any checkpoint in SDXL's layout.

#include <unistd.h>

#include "cli/commands.h"
#include "cli/config_options.h"
#include "cli/run_settings.h"
#include "distill/trainer.h"
#include "pipeline/precision.h"

namespace fourstep {

namespace {

struct DistillOptions {
  std::string file;
  FlagTexts flags;
  std::string device = "auto";
  std::string backbone_precision = "fp32";
  bool is_resumed = false;
  bool is_quiet = false;
  int64_t threads = 0;
};

void run_distill(const DistillOptions& options) {
  const auto config = read_config<DistillConfig>(options.file, options.flags);
  if (config.model.empty()) throw InvalidRequest("distill: name the teacher with --model");
  set_threads(options.threads);
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.is_quiet);
  Request request;
  request.model = config.model;
  Placement placement;
  placement.device = device_from_text(options.device);
  placement.dtype = network_dtype(options.backbone_precision, placement.device);
  placement.is_trained = true;
  Models models(request, placement);
  distill(models, config, options.is_resumed, events_of(bar));
  bar.finish();
}

}  // namespace

void add_distill_command(CLI::App& app) {
  auto options = std::make_shared<DistillOptions>();
  CLI::App* command = app.add_subcommand("distill", "train a DMD2 LoRA for a checkpoint");
  command->add_option("--config", options->file, "JSON file with settings")->type_name("");
  command->add_flag("--resume", options->is_resumed, "go on with the run in the folder --out");
  command->add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->type_name("");
  command
      ->add_option("--backbone-precision", options->backbone_precision,
                   "in which the frozen networks are kept: fp32, bf16 or fp16")
      ->type_name("");
  command->add_option("--threads", options->threads, "processor threads; 0: all cores")
      ->type_name("");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress, no notices");
  add_config_options(*command, DistillConfig(), options->flags);
  command->callback([options] { run_distill(*options); });
}

}  // namespace fourstep
