#pragma once
// The named character references of HTML 5.

#include <string_view>

namespace fourstep {

/// Blanks and line ends between entries of the form "name=20AC": the code point in hexadecimal, or two of them with "+"
/// between them. "*" in place of "=": the name may stand without a semicolon.
extern const std::string_view kHtmlEntityNames;

}  // namespace fourstep
