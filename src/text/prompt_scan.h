#pragma once
// Small steps of the prompt parsers.

#include <string_view>

namespace fourstep {

/// Blanks, tabs and line ends.
bool is_blank(char c);

/// Whether no letter, digit or underscore touches text[begin,end) from outside. text: UTF-8.
bool is_whole_word(std::string_view text, size_t begin, size_t end);

/// Without the blanks at its end, or at both ends.
std::string_view without_blanks_behind(std::string_view text);
std::string_view without_blanks(std::string_view text);

}  // namespace fourstep
