#pragma once
// Signs that bytes of UTF-8 were once read in another encoding: "Ã©" for "é", "â€™" for an apostrophe.

#include <string_view>

namespace fourstep {

/// Whether some neighbouring characters are hardly ever meant together. Source: the heuristic of ftfy 6.3.1
/// (ftfy/badness.py), by its character classes and results.
bool looks_misdecoded(std::u32string_view text);

/// Length of a run at `i` of characters that single bytes of UTF-8 sequences would have become, or 0.
/// Source: ftfy 6.3.1 (the detector in ftfy/chardata.py).
size_t misdecoded_run(std::u32string_view text, size_t i);

}  // namespace fourstep
