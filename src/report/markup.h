#pragma once
// What SVG and HTML writers share: text made safe, numbers made short.

#include <string>
#include <string_view>

namespace fourstep {

/// `text` for XML and HTML, between tags and in quoted attributes: & < > " ' become entities; bytes that are no
/// UTF-8 and characters that XML forbids become U+FFFD.
std::string escape_markup(std::string_view text);

/// A coordinate with at most two decimals, without trailing zeros.
std::string coordinate(double value);

/// About how wide `text` will be in a sans-serif font of the given size: browsers choose the font, so boxes
/// around text are laid out with this estimate (0.6 of the size per character, twice that for wide scripts).
double estimated_width_px(std::string_view text, double font_px);

/// How many columns of a terminal `text` takes: two for wide characters (East Asian ones, emoji), none for
/// combining marks. Source: the main ranges of Unicode's East Asian Width W and F, and of general category Mn.
size_t display_width(std::string_view text);

}  // namespace fourstep
