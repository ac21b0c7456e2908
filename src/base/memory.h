#pragma once
// Memory of this process, as the system counts it.

#include <cstdint>

namespace fourstep {

/// Gives freed memory back to the system where the C library keeps it (glibc): after a network was
/// loaded, reordered or let go, gigabytes in pieces of a few MB.
void return_freed_memory();

/// For work that makes and drops the same large tensors over and over, such as training: freed
/// memory stays with the process instead of being given back and faulted in again at every step
/// (glibc; a tenth to a fifth of the time).
void keep_freed_memory();

/// The most memory that this process has had so far, in bytes.
uint64_t peak_memory_bytes();

}  // namespace fourstep
