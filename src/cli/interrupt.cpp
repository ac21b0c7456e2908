#include "cli/interrupt.h"

#include <csignal>

namespace fourstep {

namespace {

// A signal handler has no argument to pass state in: the one variable of the program that is global.
volatile std::sig_atomic_t interrupts = 0;

void note_interrupt(int signal) {
  interrupts = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, note_interrupt);
  std::signal(SIGTERM, note_interrupt);
}

bool is_interrupted() { return interrupts != 0; }

}  // namespace fourstep
