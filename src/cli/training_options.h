#pragma once
// What the commands that train have in common on the command line, beside the fields of their settings.

#include <CLI/CLI.hpp>
#include <string>

#include "cli/field_options.h"
#include "cli/progress_bar.h"

namespace fourstep {

struct TrainingOptions {
  std::string file;  ///< JSON with settings; may be empty
  FlagTexts flags;
  std::string device = "auto";
  bool is_resumed = false;
  bool is_quiet = false;
  int64_t threads = 0;
};

/// --config, --resume, --threads and --quiet.
void add_training_options(CLI::App& command, TrainingOptions& options);

/// --device.
void add_device_option(CLI::App& command, TrainingOptions& options);

/// The bar of a training command, after its threads were set. Throws InvalidRequest for --threads out of range.
ProgressBar start_training(const TrainingOptions& options);

}  // namespace fourstep
