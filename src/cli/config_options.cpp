#include "cli/config_options.h"

#include <fmt/format.h>

namespace fourstep {

std::string flag_names(const FieldInfo& field) {
  std::string names;
  for (const std::string& letter : field_letters(field)) names += fmt::format("-{},", letter);
  for (const std::string& name : field_names(field)) {
    names += fmt::format("{},", flag_name(FieldInfo{name, ""}));
  }
  names.pop_back();
  return names;
}

std::string flag_help(const FieldInfo& field, const std::string& default_text) {
  std::string help(field.help);
  if (!field.unit.empty()) help += fmt::format(" ({})", field.unit);
  if (!default_text.empty() && default_text != "false") help += fmt::format(" [{}]", default_text);
  return help;
}

}  // namespace fourstep
