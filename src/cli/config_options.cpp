#include "cli/config_options.h"

#include <fmt/format.h>

#include <utility>

namespace fourstep {

namespace {

/// With line ends, behind which the help goes on in its own column.
std::string wrapped(std::string text) {
  constexpr size_t kWidth = 88;  // beside 30 columns of flags
  for (size_t begin = 0; text.size() - begin > kWidth;) {
    const size_t blank = text.rfind(' ', begin + kWidth);
    if (blank == std::string::npos || blank <= begin) break;
    text[blank] = '\n';
    begin = blank + 1;
  }
  return text;
}

}  // namespace

std::string flag_help(const FieldInfo& field, const std::string& default_text) {
  std::string help(field.help);
  if (!field.unit.empty()) help += fmt::format(" ({})", field.unit);
  if (!default_text.empty() && default_text != "false") help += fmt::format(" [{}]", default_text);
  return wrapped(std::move(help));
}

}  // namespace fourstep
