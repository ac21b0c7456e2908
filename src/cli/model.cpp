// fourstep model inspect FILE: what a checkpoint is, what it holds and what it lacks.

#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "io/model_info.h"
#include "io/weight_files.h"

namespace fourstep {

namespace {

struct InspectOptions {
  std::string path;
  bool without_hashes = false;
  bool is_json = false;
};

void inspect(const InspectOptions& options) {
  ModelInfo info = describe_model(options.path);
  if (!options.without_hashes && is_whole_file(options.path)) {
    catch_interrupts();
    info.hashes = compute_hashes(options.path, [](uint64_t, uint64_t) {
      if (is_interrupted()) throw Cancelled();
    });
  }
  fmt::print("{}", options.is_json ? model_info_json(info) + "\n" : model_info_text(info));
}

}  // namespace

void add_model_command(CLI::App& app) {
  CLI::App* model = app.add_subcommand("model", "look at checkpoints, merge, convert");
  model->require_subcommand(1);
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      model->add_subcommand("inspect", "family, parts, types, metadata, what is missing");
  command->add_option("FILE", options->path, "checkpoint file or diffusers folder")
      ->type_name("")
      ->required();
  command->add_flag(
      "--no-hashes", options->without_hashes,
      "leave out AutoV1, AutoV2, AutoV3 and SHA-256, for which the whole file is read");
  command->add_flag("--json", options->is_json, "print JSON");
  command->callback([options] { inspect(*options); });
  add_model_write_verbs(*model);
}

}  // namespace fourstep
