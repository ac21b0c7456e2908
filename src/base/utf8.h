#pragma once
// UTF-8 to code points and back.

#include <string>
#include <string_view>

namespace fourstep {

/// Code points of a UTF-8 text. Each maximal ill-formed part becomes one U+FFFD, so any bytes are accepted.
std::u32string decode_utf8(std::string_view bytes);

/// Appends one code point (no surrogate, at most U+10FFFF) as UTF-8.
void append_utf8(std::string& out, char32_t c);

}  // namespace fourstep
