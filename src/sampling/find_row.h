#pragma once
// Looking up a row of a table by the name a user gave.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text_tools.h"

namespace fourstep {

/// The row of `rows` with this name. Throws InvalidRequest naming the nearest three.
/// what: the kind of row to name in the message, for instance "sampler".
template <typename Row>
const Row& find_row(std::span<const Row> rows, std::string_view what, std::string_view name) {
  std::vector<std::string> known;
  for (const Row& row : rows) {
    if (row.name == name) return row;
    known.emplace_back(row.name);
  }
  throw InvalidRequest("{} \"{}\" is not known{}", what, name, did_you_mean(name, known));
}

}  // namespace fourstep
