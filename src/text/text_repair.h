#pragma once
// What a text becomes in Python's ftfy: the glitches of copying and pasting put right.

#include <string>

namespace fourstep {

/// HTML entities (in lines before the first "<"), wrongly decoded text, C1 controls, Latin ligatures, half and full
/// width, curly quotes, line ends, terminal escapes and control characters, then NFC: over and over until nothing
/// changes, 32 times at most. Lines are treated one by one.
/// Source: ftfy 6.3.1, `fix_text` with its default settings, by its results.
std::u32string repair_text(std::u32string_view text);

}  // namespace fourstep
