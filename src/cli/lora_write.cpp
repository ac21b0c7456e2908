// fourstep lora convert, merge, resize, extract: verbs that write a LoRA file.

#include "cli/commands.h"

namespace fourstep {

void add_lora_write_verbs(CLI::App&) {}

}  // namespace fourstep
