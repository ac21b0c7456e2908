// fourstep train: a small model in SDXL's layout from nothing.

#include <unistd.h>

#include "cli/commands.h"
#include "cli/config_options.h"
#include "cli/run_settings.h"
#include "train/emoji_recipe.h"

namespace fourstep {

namespace {

struct TrainOptions {
  std::string file;
  std::string exported;
  FlagTexts flags;
  bool is_resumed = false;
  bool is_quiet = false;
  int64_t threads = 0;
};

void train(const TrainOptions& options) {
  const auto config = read_config<TrainConfig>(options.file, options.flags);
  set_threads(options.threads);
  if (!options.exported.empty()) return export_emoji_model(config, options.exported);
  ProgressBar bar(isatty(STDERR_FILENO) != 0, options.is_quiet);
  train_emoji_model(config, options.is_resumed, events_of(bar));
  bar.finish();
}

}  // namespace

void add_train_command(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command =
      app.add_subcommand("train", "train a small model from nothing, on drawn emoji");
  command->add_option("--config", options->file, "JSON file with settings")->type_name("");
  command->add_flag("--resume", options->is_resumed, "go on with the run in the folder --out");
  command
      ->add_option("--export", options->exported,
                   "do not train: write what the run in --out has learned so far to this file")
      ->type_name("");
  command->add_option("--threads", options->threads, "processor threads; 0: all cores")
      ->type_name("");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress, no notices");
  add_config_options(*command, TrainConfig(), options->flags);
  command->callback([options] { train(*options); });
}

}  // namespace fourstep
