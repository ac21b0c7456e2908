#include "base/dialect.h"

#include <array>
#include <string>

#include "base/error.h"
#include "base/text_tools.h"

namespace fourstep {

std::span<const DialectRow> dialect_rows() {
  static constexpr std::array kRows = {
      DialectRow{"fourstep", Dialect::kFourstep}, DialectRow{"comfyui", Dialect::kComfy},
      DialectRow{"comfy", Dialect::kComfy},       DialectRow{"a1111", Dialect::kA1111},
      DialectRow{"forge", Dialect::kA1111},       DialectRow{"diffusers", Dialect::kDiffusers},
  };
  return kRows;
}

std::string_view dialect_name(Dialect dialect) {
  for (const DialectRow& row : dialect_rows()) {
    if (row.dialect == dialect) return row.name;
  }
  throw Error("dialect_name: {} is no dialect", static_cast<int>(dialect));
}

Dialect dialect_from_name(std::string_view name) {
  std::vector<std::string> known;
  for (const DialectRow& row : dialect_rows()) {
    if (row.name == name) return row.dialect;
    known.emplace_back(row.name);
  }
  throw InvalidRequest("dialect \"{}\" is not known{}", name, did_you_mean(name, known));
}

}  // namespace fourstep
