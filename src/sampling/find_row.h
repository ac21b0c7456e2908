#pragma once
// Looking up a sampler or schedule by the name a user gave.

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace fourstep {

/// The row of `rows` with this name. Throws InvalidRequest listing the known names.
/// what: the kind of row to name in the message, for instance "sampler".
template <typename Row>
const Row& find_row(std::span<const Row> rows, std::string_view what, std::string_view name) {
  std::string known;
  for (const Row& row : rows) {
    if (row.name == name) return row;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  throw InvalidRequest("{} \"{}\" is not known; known: {}", what, name, known);
}

}  // namespace fourstep
