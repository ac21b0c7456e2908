#pragma once
// "&amp;" and its relatives in a text, replaced by the characters they stand for.

#include <string>
#include <string_view>

namespace fourstep {

/// As ftfy 6.3.1 does: names with their semicolon alone, in capitals also those that have one case in HTML
/// ("&EACUTE;"); "&copy" without a semicolon stays, and so does "&#59;".
std::u32string unescape_closed_entities(std::u32string_view text);

/// As browsers and Python's html.unescape() do: the older names need no semicolon, "&notit;" is "¬it;".
std::u32string unescape_entities(std::u32string_view text);

}  // namespace fourstep
