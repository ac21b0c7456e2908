// fourstep train: a small model in SDXL's layout from nothing.

#include "cli/commands.h"
#include "cli/run_settings.h"
#include "cli/training_options.h"
#include "train/emoji_recipe.h"

namespace fourstep {

namespace {

void train(const TrainingOptions& options, const std::string& exported) {
  const auto config = read_config<TrainConfig>(options.file, options.flags);
  ProgressBar bar = start_training(options);
  if (!exported.empty()) return export_emoji_model(config, exported);
  train_emoji_model(config, options.is_resumed, events_of(bar));
  bar.finish();
}

}  // namespace

void add_train_command(CLI::App& app) {
  auto options = std::make_shared<TrainingOptions>();
  auto exported = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("train", "train a small model from nothing, on drawn emoji");
  add_training_options(*command, *options);
  command
      ->add_option("--export", *exported,
                   "do not train: write what the run in --out has learned so far to this file")
      ->type_name("");
  add_config_options(*command, TrainConfig(), options->flags);
  command->callback([options, exported] { train(*options, *exported); });
}

}  // namespace fourstep
