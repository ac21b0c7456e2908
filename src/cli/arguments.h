#pragma once
// The words of a command line before CLI11 takes them: mistyped commands and options are named with what they are most
// like, habits of other programs are translated or explained, and what would be misunderstood in silence is refused.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace fourstep {

struct CheckedArguments {
  std::vector<std::string> words;  ///< for CLI11, in order, without the program's name
  std::vector<std::string>
      notices;            ///< a sentence for each option of which only the last value counts
  bool is_quiet = false;  ///< whether --quiet is among them
};

/// Translates: "--cfg_scale" to "--cfg-scale", "--x true" and "--no-x" of switches to "--x=true" and "--x=false",
/// "--name=value" to two words. Throws InvalidRequest for unknown commands and options ("did you mean"), options of other
/// programs, values that are missing or empty, switches that are neither true nor false, single dashes where two are
/// meant, options given twice where one counts, and prompts without quotation marks, with the command as it should be.
/// arguments: what the shell passed, without the program's name.
CheckedArguments check_arguments(CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace fourstep
