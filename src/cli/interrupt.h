#pragma once
// Ctrl-C as a question that long work asks between its steps.

namespace fourstep {

/// From here on the first SIGINT or SIGTERM is only noted; a second one ends the process.
void catch_interrupts();

/// Whether one has come since catch_interrupts().
bool is_interrupted();

}  // namespace fourstep
