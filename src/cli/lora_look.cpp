// fourstep lora inspect, dedupe, diff: what LoRA files hold.

#include "cli/commands.h"

namespace fourstep {

void add_lora_look_verbs(CLI::App&) {}

}  // namespace fourstep
