#pragma once
// How --help looks: options and what they do side by side, in lines that fit the terminal. Of an option with several
// names the letters and the first word stand in front, the other words behind the help.

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace fourstep {

/// Columns of the terminal on standard output, else those that COLUMNS in the environment says, else 120; within 60 and
/// 120.
size_t help_width();

/// In lines of at most `width` characters, of which all but the first begin with `indent` blanks. Words that are longer
/// stay whole.
std::string wrapped(std::string_view text, size_t width, size_t indent);

class HelpFormat : public CLI::Formatter {
 public:
  explicit HelpFormat(size_t width);

  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  /// Lines "  name  text" are wrapped below the text.
  std::string make_footer(const CLI::App* command) const override;

 private:
  /// Two columns; the right one begins in the next line where the left one is long.
  std::string row(const std::string& left, const std::string& right) const;

  size_t width_, left_;
};

}  // namespace fourstep
