#include "cli/run_settings.h"

#include <ATen/Parallel.h>

#include <thread>

#include "cli/interrupt.h"

namespace fourstep {

void set_threads(int64_t threads) {
  const int64_t most = 4 * static_cast<int64_t>(std::thread::hardware_concurrency());
  if (threads < 0 || threads > most) {
    throw InvalidRequest("--threads {}: expected 0 (all cores) to {}", threads, most);
  }
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
}

Events events_of(ProgressBar& bar) {
  catch_interrupts();
  Events events;
  events.on_progress = [&bar](const Progress& progress) { bar.show(progress); };
  events.is_cancelled = is_interrupted;
  events.on_notice = [&bar](const std::string& sentence) { bar.notice(sentence); };
  return events;
}

}  // namespace fourstep
