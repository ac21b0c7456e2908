#pragma once
// What there is to know of a terminal.

#include <cstddef>

namespace fourstep {

/// Columns of the terminal that a file descriptor leads to; 0 where it leads to none, or to one that does not say.
size_t terminal_columns(int file_descriptor);

}  // namespace fourstep
