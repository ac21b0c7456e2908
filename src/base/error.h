#pragma once
// The exceptions of the whole program. Libraries throw, only cli and serve catch. A message is one
// sentence that names the operation, the file or item, what was found, what was expected, and what
// to do.

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace fourstep {

/// A file, a key or a machine is not as the work needs it. Exit code 2.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;

  /// Error("load(\"{}\"): ...", path): the message in fmt's format language.
  template <typename First, typename... Rest>
  Error(fmt::format_string<First, Rest...> format, First&& first, Rest&&... rest)
      : std::runtime_error(
            fmt::format(format, std::forward<First>(first), std::forward<Rest>(rest)...)) {}
};

/// What was asked for cannot be done as asked (an option, a prompt, a size): HTTP 400, exit code 2.
class InvalidRequest : public Error {
 public:
  using Error::Error;
};

/// The user stopped the work. Exit code 130.
class Cancelled : public Error {
 public:
  Cancelled() : Error(std::string("cancelled")) {}
};

}  // namespace fourstep
