#pragma once
// How the random parts of a prompt are written: "{a|b}", "{2$$ and $$a|b|c}", "__name__",
// "${name=value}".

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// Where each brace closes; npos: nowhere, or no opening brace. Braces behind a backslash do not
/// count.
std::vector<size_t> pair_braces(std::string_view text);

/// The parts between the bars that stand in no inner braces. text: without its own braces.
std::vector<std::string_view> split_options(std::string_view text);

struct WeightedOption {
  double weight = 1;
  std::string_view text;
};

/// "3::text", or the text with the weight 1. Weights below 0 count as 0.
WeightedOption weighted_option(std::string_view option);

/// What stands inside of "{...}".
struct ChoiceSyntax {
  size_t least = 1, most = 1;  ///< how many options are taken; `most` may be beyond their number
  std::string_view separator = ",";
  std::vector<std::string_view> options;
  bool has_range = false;  ///< "2$$", "1-3$$"
};

/// Nothing for braces that choose nothing: no bar and no range. inside: without its braces.
/// Throws InvalidRequest for the ways of sampling "!" and "@" of Dynamic Prompts, which are not
/// supported, and for a "$$" that follows no number.
std::optional<ChoiceSyntax> parse_choice(std::string_view inside);

/// "__name__" at the start of `text`: the name, which may have braces inside, with "~" in front
/// left out. Nothing when there is none. `length`: of all.
struct NameSyntax {
  std::string_view name;
  size_t length = 0;
};
/// Throws InvalidRequest for "__!name__", "__@name__" and "__name(a=b)__" of Dynamic Prompts.
std::optional<NameSyntax> parse_name(std::string_view text);

/// What stands inside of "${...}".
struct VariableSyntax {
  std::string_view name;
  std::optional<std::string_view> value;     ///< set: "=value"
  bool is_immediate = false;                 ///< "=!value": chosen once, not at every use
  bool keeps_earlier = false;                ///< "?=value": only where it has none yet
  std::optional<std::string_view> fallback;  ///< ":value" of a use
};

/// Nothing where no variable is meant. inside: without its braces.
std::optional<VariableSyntax> parse_variable(std::string_view inside);

}  // namespace fourstep
