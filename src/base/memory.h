#pragma once
// Memory of this process, as the system counts it.

namespace fourstep {

/// Gives freed memory back to the system where the C library keeps it (glibc): after a network was loaded,
/// reordered or let go, gigabytes in pieces of a few MB.
void return_freed_memory();

}  // namespace fourstep
