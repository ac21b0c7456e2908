#pragma once
// "&amp;" and its relatives in a text, replaced by the characters they stand for.

#include <string>
#include <string_view>

namespace fourstep {

/// As ftfy 6.3.1 does: names with their semicolon alone, in capitals also those that have one case
/// in HTML ("&EACUTE;"); "&copy" without a semicolon stays, and so does "&#59;".
std::u32string unescape_closed_entities(std::u32string_view text);

/// As browsers and Python's html.unescape() do: the older names need no semicolon, "&notit;" is
/// "¬it;".
std::u32string unescape_entities(std::u32string_view text);

// The named character references of HTML 5.

/// Blanks and line ends between entries of the form "name=20AC": the code point in hexadecimal, or
/// two of them with "+" between them. "*" in place of "=": the name may stand without a semicolon.
extern const std::string_view kHtmlEntityNames;

}  // namespace fourstep
