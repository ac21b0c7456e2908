#include "cli/help_format.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/environment.h"
#include "base/fields.h"
#include "base/text_tools.h"
#include "cli/terminal.h"

namespace fourstep {

namespace {

constexpr size_t kNarrowest = 60, kWidest = 120;

/// Where the help of a line "  name   help" begins; 0 for other lines.
size_t help_column(std::string_view line) {
  const size_t name = line.find_first_not_of(' ');
  if (name == 0 || name == std::string_view::npos) return 0;
  const size_t gap = line.find("  ", name);
  return gap == std::string_view::npos ? 0 : line.find_first_not_of(' ', gap);
}

}  // namespace

size_t help_width() {
  size_t width = terminal_columns(STDOUT_FILENO);
  if (width == 0) {
    const auto columns = finite_number(text_from_environment({"COLUMNS"}));
    width = columns && *columns >= 1 && *columns <= 1e6 ? static_cast<size_t>(*columns) : kWidest;
  }
  return std::clamp(width, kNarrowest, kWidest);
}

std::string wrapped(std::string_view text, size_t width, size_t indent) {
  std::string lines;
  size_t column = indent;
  for (const std::string& word : split_text(text, ' ')) {
    if (word.empty()) continue;
    const bool is_first = column == indent;
    if (!is_first && column + 1 + word.size() > width) {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!is_first) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

HelpFormat::HelpFormat(size_t width) : width_(width), left_(width < 100 ? 26 : 30) {
  column_width(left_);
}

std::string HelpFormat::row(const std::string& left, const std::string& right) const {
  const std::string start = "  " + left;
  if (right.empty()) return start + "\n";
  const std::string gap = start.size() + 1 > left_ ? "\n" + std::string(left_, ' ')
                                                   : std::string(left_ - start.size(), ' ');
  return start + gap + wrapped(right, width_, left_) + "\n";
}

std::string HelpFormat::make_option(const CLI::Option* option, bool is_positional) const {
  if (is_positional) {
    return row(make_option_name(option, true) + make_option_opts(option), make_option_desc(option));
  }
  std::vector<std::string> words = option->get_lnames();
  std::string names;
  for (const std::string& letter : option->get_snames()) names += fmt::format("-{},", letter);
  names = words.empty() ? names.substr(0, names.size() - 1) : names + "--" + words[0];
  std::string help = make_option_desc(option);
  for (size_t i = 1; i < words.size(); ++i) {
    help += fmt::format("{}--{}", i == 1 ? "; also " : ", ", words[i]);
  }
  return row(names + make_option_opts(option), help);
}

std::string HelpFormat::make_subcommand(const CLI::App* command) const {
  return row(command->get_name(), command->get_description());
}

std::string HelpFormat::make_footer(const CLI::App* command) const {
  std::string text;
  const std::string footer = command->get_footer();
  for (std::string_view rest = footer; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t column = help_column(line);
    text += line.substr(0, column);
    text += wrapped(line.substr(column), width_, column) + "\n";
  }
  return text;
}

}  // namespace fourstep
