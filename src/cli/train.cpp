// fourstep train: a small model in SDXL's layout from nothing.

#include "cli/commands.h"
#include "cli/run_settings.h"
#include "cli/training_options.h"
#include "emoji/emoji_data.h"
#include "emoji/recipe.h"
#include "pipeline/precision.h"

namespace fourstep {

namespace {

struct TrainOptions {
  TrainingOptions common;
  std::string exported_model, exported_emoji;  ///< files to write instead of training
};

void train(const TrainOptions& options) {
  const auto config = read_config<TrainConfig>(options.common.file, options.common.flags);
  ProgressBar bar = start_training(options.common);
  if (!options.exported_emoji.empty()) {
    return write_emoji_pack(options.exported_emoji, open_emoji_data(config));
  }
  if (!options.exported_model.empty()) return export_emoji_model(config, options.exported_model);
  train_emoji_model(config, {device_from_text(options.common.device), options.common.is_resumed},
                    events_of(bar));
  bar.finish();
}

}  // namespace

void add_train_command(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command =
      app.add_subcommand("train", "train a small model from nothing, on drawn emoji");
  add_training_options(*command, options->common);
  add_device_option(*command, options->common);
  command
      ->add_option("--export", options->exported_model,
                   "do not train: write what the run in --out has learned so far to this file")
      ->type_name("");
  command
      ->add_option(
          "--export-emoji", options->exported_emoji,
          "do not train: write the emoji's names and pictures to this file, for --emoji-pack")
      ->type_name("");
  add_config_options(*command, TrainConfig(), options->common.flags);
  command->callback([options] { train(*options); });
}

}  // namespace fourstep
