#pragma once
// The little of Unicode that a CLIP tokenizer and file names need, on code points. Builds with ICU
// know all of it; minimal builds (FOURSTEP_MINIMAL) know what the C library's C.UTF-8 locale knows,
// see unicode_basic.cpp.

#include <string>
#include <string_view>

namespace fourstep {

/// What the tokenizer's word rule tells apart: Unicode general categories L* and N*, the property
/// White_Space, and all else.
enum class CharClass { kLetter, kNumber, kSpace, kOther };

CharClass char_class(char32_t c);

/// True for the general categories C* (control, format, private use, unassigned).
bool is_control(char32_t c);

/// True for marks that stand on or around the character before them: the general categories M*.
/// Minimal builds know the blocks of combining marks alone; those of a script count as its letters
/// there.
bool is_mark(char32_t c);

/// True for pictures and the letters of flags: Extended_Pictographic from U+2194 on (without (c),
/// (r), !! and the like), and Regional_Indicator. Minimal builds: whole blocks of symbols.
bool is_emoji(char32_t c);

/// True for what shows nothing of its own: Default_Ignorable_Code_Point and the general category Cf
/// (direction marks, joiners, variation selectors, tags, soft hyphens).
bool is_invisible(char32_t c);

/// Canonical composition (NFC). Minimal builds return the text as it is.
std::u32string to_nfc(std::u32string text);

/// Appends the compatibility form (NFKC) of one code point. Minimal builds know full-width ASCII
/// alone.
void append_nfkc(std::u32string& out, char32_t c);

/// Lower case, each code point by itself: capital sigma always becomes U+03C3, U+0130 becomes i +
/// U+0307.
std::u32string lower_each(std::u32string_view text);

/// Lower case with the one rule that looks at neighbours, as Python's str.lower(): a capital sigma
/// at the end of a word becomes U+03C2. Minimal builds do as lower_each().
std::u32string lower_in_context(std::u32string_view text);

/// Upper case with all rules, as Python's str.upper(): one character may become several. Minimal
/// builds: each by itself.
std::u32string upper(std::u32string_view text);

/// True when this build has ICU's full tables; else the functions above are approximate outside of
/// Latin.
bool has_full_unicode();

}  // namespace fourstep
