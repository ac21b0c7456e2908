// fourstep lora detect, fingerprint, doctor: which LoRA a checkpoint already wears, and why one does nothing.

#include "cli/commands.h"

namespace fourstep {

void add_lora_detect_verbs(CLI::App&) {}

}  // namespace fourstep
