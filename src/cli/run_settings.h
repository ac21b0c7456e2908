#pragma once
// What all commands of long work share: threads, the bar on standard error, and Ctrl-C.

#include "base/events.h"
#include "cli/progress_bar.h"

namespace fourstep {

/// 0 leaves the choice to libtorch: one thread per core. Throws InvalidRequest when it is out of range.
void set_threads(int64_t threads);

/// Events that feed `bar` and stop at the first Ctrl-C. The bar must outlive them.
Events events_of(ProgressBar& bar);

}  // namespace fourstep
