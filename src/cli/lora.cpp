// fourstep lora VERB: the workbench for LoRA files. Here the verbs that look at them: inspect,
// dedupe, diff.

#include <fmt/format.h>
#include <unistd.h>
#include <algorithm>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/run_settings.h"
#include "cli/workbench_options.h"
#include "io/atomic_file.h"
#include "io/file_search.h"
#include "workbench/lora_content.h"
#include "workbench/lora_diff.h"
#include "workbench/lora_info.h"

namespace fourstep {

namespace {

struct LookOptions {
  std::vector<std::string> files;
  std::string model, svg;
  bool with_norms = false;
  bool without_hashes = false;
  bool is_json = false;
};

void stop_if_interrupted() {
  if (is_interrupted()) throw Cancelled();
}

void print_infos(const std::vector<LoraInfo>& infos, bool is_json) {
  for (size_t i = 0; i < infos.size(); ++i) {
    if (is_json) {
      // One file is an object, several are a list.
      const char* before = infos.size() == 1 ? "" : (i == 0 ? "[" : ",\n");
      fmt::print("{}{}", before, lora_info_json(infos[i]));
    } else {
      fmt::print("{}{}", i == 0 ? "" : "\n", lora_info_text(infos[i]));
    }
  }
  if (is_json) fmt::print("{}\n", infos.size() == 1 ? "" : "]");
}

void inspect(const LookOptions& options) {
  catch_interrupts();
  if (!options.svg.empty()) check_output(options.svg, {}, {".svg"});
  const std::vector<LoraLayout> layouts = layouts_for(options.model);
  std::vector<LoraInfo> infos;
  for (const std::string& file : options.files) {
    infos.push_back(describe_lora(file, layouts, options.with_norms));
    if (!options.without_hashes)
      add_hashes(infos.back(), layouts, [](uint64_t, uint64_t) { stop_if_interrupted(); });
  }
  if (!options.svg.empty()) {
    const std::string svg = lora_blocks_svg(infos);
    write_atomically(options.svg, [&](std::ostream& out) { out << svg; });
  }
  print_infos(infos, options.is_json);
}

void dedupe(const LookOptions& options) {
  catch_interrupts();
  const Duplicates duplicates =
      find_duplicates(options.files.front(), [](size_t, size_t) { stop_if_interrupted(); });
  fmt::print("{}", options.is_json ? duplicates_json(duplicates) : duplicates_text(duplicates));
}

void diff(const LookOptions& options) {
  const std::vector<FittedLora> loras =
      open_together({options.files.begin(), options.files.end()}, layouts_for(options.model));
  const LoraDiff result = diff_loras(loras[0], loras[1]);
  fmt::print("{}", options.is_json ? diff_json(result) : diff_text(result));
}

CLI::App* add_look_verb(CLI::App& lora, const char* name, const char* help, LookOptions& options) {
  CLI::App* command = lora.add_subcommand(name, help);
  command->add_flag("--json", options.is_json, "print JSON");
  return command;
}

void add_inspect(CLI::App& lora) {
  auto options = std::make_shared<LookOptions>();
  CLI::App* command = add_look_verb(
      lora, "inspect", "family, key style, modules, ranks, blocks, metadata, hashes", *options);
  command->add_option("FILE", options->files, "LoRA files, or folders of PEFT or diffusers")
      ->type_name("")
      ->required();
  add_lora_model_option(*command, options->model);
  command->add_flag("--norms", options->with_norms,
                    "norm of what each block gets, for which all factors are read");
  command->add_flag("--no-hashes", options->without_hashes,
                    "leave out the hashes, for which the whole file is read");
  command->add_option("--svg", options->svg, "write a bar plot of the blocks to this file")
      ->type_name("");
  command->callback([options] { inspect(*options); });
}

void add_dedupe(CLI::App& lora) {
  auto options = std::make_shared<LookOptions>();
  CLI::App* command = add_look_verb(
      lora, "dedupe", "group the LoRAs of a folder by content, whatever their names and headers",
      *options);
  command->add_option("DIR", options->files, "folder, searched with what is below it")
      ->type_name("")
      ->required()
      ->expected(1);
  command->callback([options] { dedupe(*options); });
}

void add_diff(CLI::App& lora) {
  auto options = std::make_shared<LookOptions>();
  CLI::App* command =
      add_look_verb(lora, "diff", "compare what two LoRAs add to the weights", *options);
  command->add_option("FILES", options->files, "two LoRA files")
      ->type_name("A B")
      ->required()
      ->expected(2);
  add_lora_model_option(*command, options->model);
  command->callback([options] { diff(*options); });
}

}  // namespace

void add_lora_command(CLI::App& app) {
  CLI::App* lora =
      app.add_subcommand("lora", "look at LoRA files, compare, convert, join and make them");
  lora->require_subcommand(1);
  add_inspect(*lora);
  add_dedupe(*lora);
  add_diff(*lora);
  add_lora_write_verbs(*lora);
  add_lora_detect_verbs(*lora);
}

}  // namespace fourstep
