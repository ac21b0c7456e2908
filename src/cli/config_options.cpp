#include "cli/config_options.h"

#include <fmt/format.h>

namespace fourstep {

std::string flag_help(const FieldInfo& field, const std::string& default_text) {
  std::string help(field.help);
  if (!field.unit.empty()) help += fmt::format(" ({})", field.unit);
  if (!default_text.empty() && default_text != "false") help += fmt::format(" [{}]", default_text);
  return help;
}

}  // namespace fourstep
