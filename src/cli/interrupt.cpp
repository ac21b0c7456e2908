#include "cli/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace fourstep {

namespace {

// A signal handler has no argument to pass state in: the one variable of the program that is global.
volatile std::sig_atomic_t interrupts = 0;

void note_interrupt(int signal) {
  constexpr char kSentence[] = "\nfourstep: stops after this step; once more: at once\n";
  interrupts = 1;
  std::signal(signal, SIG_DFL);
  // Nothing but write() is allowed in here; a message that gets lost does no harm.
  if (::write(STDERR_FILENO, kSentence, sizeof(kSentence) - 1) < 0) return;
}

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, note_interrupt);
  std::signal(SIGTERM, note_interrupt);
}

bool is_interrupted() { return interrupts != 0; }

}  // namespace fourstep
