// fourstep distill: DMD2 on any checkpoint in SDXL's layout, at its native size.

#include "cli/commands.h"
#include "cli/run_settings.h"
#include "cli/training_options.h"
#include "emoji/distillation.h"
#include "pipeline/precision.h"

namespace fourstep {

namespace {

void run_distill(const TrainingOptions& options, const std::string& backbone_precision) {
  const auto config = read_config<EmojiDistillConfig>(options.file, options.flags);
  if (config.common.model.empty()) throw InvalidRequest("distill: name the teacher with --model");
  check_word("--backbone-precision", backbone_precision, {"auto", "fp32", "bf16", "fp16"});
  ProgressBar bar = start_training(options);
  Placement placement{.device = device_from_text(options.device), .is_trained = true};
  placement.dtype = network_dtype(backbone_precision, placement.device);
  Models models(FileSettings{.model = config.common.model}, placement);
  distill(models, config.common, sources_opener(models, config), options.is_resumed,
          events_of(bar));
  bar.finish();
}

}  // namespace

void add_distill_command(CLI::App& app) {
  auto options = std::make_shared<TrainingOptions>();
  auto backbone_precision = std::make_shared<std::string>("fp32");
  CLI::App* command = app.add_subcommand("distill", "train a DMD2 LoRA for a checkpoint");
  add_training_options(*command, *options);
  add_device_option(*command, *options);
  command
      ->add_option("--backbone-precision", *backbone_precision,
                   "in which the frozen networks are kept: auto, fp32, bf16 or fp16")
      ->type_name("");
  add_config_options(*command, EmojiDistillConfig(), options->flags);
  command->callback([options, backbone_precision] { run_distill(*options, *backbone_precision); });
}

}  // namespace fourstep
