#include "cli/training_options.h"

#include <unistd.h>

#include "cli/run_settings.h"

namespace fourstep {

void add_training_options(CLI::App& command, TrainingOptions& options) {
  command.add_option("--config", options.file, "JSON file with settings")->type_name("");
  command.add_flag("--resume", options.is_resumed, "go on with the run in the folder --out");
  command.add_option("-t,--threads", options.threads, "processor threads; 0: all cores")
      ->type_name("");
  command.add_flag("-q,--quiet", options.is_quiet, "no progress, no notices");
}

void add_device_option(CLI::App& command, TrainingOptions& options) {
  command.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")->type_name("");
}

ProgressBar start_training(const TrainingOptions& options) {
  set_threads(options.threads);
  return ProgressBar(isatty(STDERR_FILENO) != 0, options.is_quiet);
}

}  // namespace fourstep
