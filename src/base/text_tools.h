#pragma once
// Small things about text that many folders need.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// Without blanks, tabs and line ends around it.
std::string trimmed(std::string_view text);

/// The finite number that `text` is as a whole; blanks around it and a plus sign are allowed.
std::optional<double> finite_number(std::string_view text);

/// With the letters A to Z in lower case.
std::string lower_ascii(std::string_view text);

/// For messages: "a, b, c and 7 more".
std::string join_first(const std::vector<std::string>& names);

}  // namespace fourstep
