// fourstep distill: DMD2 on any checkpoint in SDXL's layout.

#include "cli/commands.h"
#include "cli/run_settings.h"
#include "cli/training_options.h"
#include "distill/trainer.h"
#include "pipeline/precision.h"

namespace fourstep {

namespace {

void run_distill(const TrainingOptions& options, const std::string& precision) {
  const auto config = read_config<DistillConfig>(options.file, options.flags);
  if (config.model.empty()) throw InvalidRequest("distill: name the teacher with --model");
  check_word("--precision", precision, {"auto", "fp32", "bf16", "fp16"});
  ProgressBar bar = start_training(options);
  Request request;
  request.model = config.model;
  Placement placement{.device = device_from_text(options.device), .is_trained = true};
  placement.dtype = network_dtype(precision, placement.device);
  Models models(request, placement);
  distill(models, config, options.is_resumed, events_of(bar));
  bar.finish();
}

}  // namespace

void add_distill_command(CLI::App& app) {
  auto options = std::make_shared<TrainingOptions>();
  auto precision = std::make_shared<std::string>("fp32");
  CLI::App* command = app.add_subcommand("distill", "train a DMD2 LoRA for a checkpoint");
  add_training_options(*command, *options);
  add_device_option(*command, *options);
  command->add_option("--precision", *precision, "of the frozen networks: fp32, bf16, fp16")
      ->type_name("");
  add_config_options(*command, DistillConfig(), options->flags);
  command->callback([options, precision] { run_distill(*options, *precision); });
}

}  // namespace fourstep
