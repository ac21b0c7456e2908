#pragma once
// Text whose UTF-8 was once read in another encoding, put right.

#include <string>
#include <string_view>

namespace fourstep {

/// "schÃ¶n" becomes "schön", "itâ€™s" becomes "it’s"; text without such signs comes back as it is.
/// Ten encodings are tried in the order of CodePage, first on the whole text, then on the runs that
/// look like UTF-8, several times where the mistake was made several times. C1 controls become the
/// characters of Windows-1252.
/// Source: ftfy 6.3.1, `fix_encoding`, by its results.
std::u32string mend_encoding(std::u32string text);

// Signs that bytes of UTF-8 were once read in another encoding: "Ã©" for "é", "â€™" for an
// apostrophe.

/// Whether some neighbouring characters are hardly ever meant together. Source: the heuristic of
/// ftfy 6.3.1 (ftfy/badness.py), by its character classes and results.
bool looks_misdecoded(std::u32string_view text);

/// Length of a run at `i` of characters that single bytes of UTF-8 sequences would have become, or
/// 0.
/// Source: ftfy 6.3.1 (the detector in ftfy/chardata.py).
size_t misdecoded_run(std::u32string_view text, size_t i);

}  // namespace fourstep
