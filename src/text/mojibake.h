#pragma once
// Text whose UTF-8 was once read in another encoding, put right.

#include <string>

namespace fourstep {

/// "schÃ¶n" becomes "schön", "itâ€™s" becomes "it’s"; text without such signs comes back as it is. Ten encodings are
/// tried in the order of CodePage, first on the whole text, then on the runs that look like UTF-8, several times where the
/// mistake was made several times. C1 controls become the characters of Windows-1252.
/// Source: ftfy 6.3.1, `fix_encoding`, by its results.
std::u32string mend_encoding(std::u32string text);

}  // namespace fourstep
