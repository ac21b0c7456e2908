// fourstep train-lora: a LoRA for a checkpoint, from a folder of images with captions.

#include "cli/commands.h"
#include "cli/run_settings.h"
#include "cli/training_options.h"
#include "pipeline/precision.h"
#include "train/lora_training.h"

namespace fourstep {

namespace {

void run_train_lora(const TrainingOptions& options) {
  const auto config = read_config<LoraTrainConfig>(options.file, options.flags);
  validate(config);
  ProgressBar bar = start_training(options);
  const FileSettings files{.model = config.model,
                           .vae = config.vae,
                           .text_encoder = config.text_encoder,
                           .text_encoder_2 = config.text_encoder_2};
  Placement placement{.device = device_from_text(options.device), .is_trained = true};
  placement.dtype = network_dtype(config.precision, placement.device);
  Models models(files, placement);
  train_lora(models, config, options.is_resumed, events_of(bar));
  bar.finish();
}

}  // namespace

void add_train_lora_command(CLI::App& app) {
  auto options = std::make_shared<TrainingOptions>();
  CLI::App* command =
      app.add_subcommand("train-lora", "train a LoRA for a checkpoint on a folder of images");
  add_training_options(*command, *options);
  add_device_option(*command, *options);
  add_config_options(*command, LoraTrainConfig(), options->flags);
  command->callback([options] { run_train_lora(*options); });
}

}  // namespace fourstep
