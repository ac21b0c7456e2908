#pragma once
// Text out of foreign files, made fit for an error message or a terminal.

#include <string>
#include <string_view>

namespace fourstep {

/// `text` in double quotes, with quotes, backslashes and every byte outside printable ASCII escaped (\n,
/// \x1b), and cut after `max_bytes` bytes with the full length named: names of tensors and the like come
/// from files that nobody vouches for.
std::string printable(std::string_view text, size_t max_bytes = 96);

}  // namespace fourstep
