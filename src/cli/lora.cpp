// fourstep lora VERB: the workbench for LoRA files.

#include "cli/commands.h"

namespace fourstep {

void add_lora_command(CLI::App& app) {
  CLI::App* lora =
      app.add_subcommand("lora", "look at LoRA files, compare, convert, join and make them");
  lora->require_subcommand(1);
  add_lora_look_verbs(*lora);
  add_lora_write_verbs(*lora);
  add_lora_detect_verbs(*lora);
}

}  // namespace fourstep
