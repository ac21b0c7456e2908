#pragma once
// Text broken into lines of a given width. The caller says how wide a text is, so that the same rules serve
// fonts and monospaced terminals.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// The width of a text, in the unit in which the caller states the width of a line; must not fall when a
/// character is added.
using TextWidth = std::function<double(std::string_view text)>;

/// `text` where it fits into `width`, else its beginning with an ellipsis (at least the ellipsis).
std::string elide_text(std::string_view text, double width, const TextWidth& width_of);

/// Lines of at most `width`, broken at blanks, inside words that are too long for a line of their own, and at
/// line breaks in the text. What does not fit into max_lines is elided at the end of the last line. An empty
/// text has no lines. A line holds at least one character, however narrow it is.
std::vector<std::string> wrap_text(std::string_view text, double width, int64_t max_lines,
                                   const TextWidth& width_of);

}  // namespace fourstep
