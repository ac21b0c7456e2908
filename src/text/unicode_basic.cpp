// The Unicode functions of minimal builds, from the C library's C.UTF-8 locale. Exact for ASCII and Latin-1
// and good for most letters; digits of other scripts count as letters there, and nothing is composed.
#ifdef FOURSTEP_MINIMAL

#include <locale.h>
#include <wctype.h>

#include "text/unicode.h"

namespace fourstep {
namespace {

// One immutable handle for the life of the program; null when the system has no such locale.
locale_t utf8_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

bool is_latin1_number(char32_t c) {
  return c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE);
}

bool is_no_break_space(char32_t c) { return c == 0xA0 || c == 0x2007 || c == 0x202F; }

}  // namespace

CharClass char_class(char32_t c) {
  if ((c >= U'0' && c <= U'9') || is_latin1_number(c)) return CharClass::kNumber;
  // The C library leaves no-break spaces out of its class "space"; Unicode's White_Space has them.
  if ((c >= 0x09 && c <= 0x0D) || c == U' ' || c == 0x85 || is_no_break_space(c)) {
    return CharClass::kSpace;
  }
  if (c < 0x80) {
    const bool is_letter = (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
    return is_letter ? CharClass::kLetter : CharClass::kOther;
  }
  if (!utf8_locale()) return CharClass::kLetter;
  if (iswspace_l(static_cast<wint_t>(c), utf8_locale())) return CharClass::kSpace;
  return iswalpha_l(static_cast<wint_t>(c), utf8_locale()) ? CharClass::kLetter : CharClass::kOther;
}

bool is_control(char32_t c) {
  if (c < 0x80 || !utf8_locale()) return c < 0x20 || (c >= 0x7F && c < 0xA0);
  return iswprint_l(static_cast<wint_t>(c), utf8_locale()) == 0;
}

std::u32string to_nfc(std::u32string text) { return text; }

void append_nfkc(std::u32string& out, char32_t c) {
  out.push_back(c >= 0xFF01 && c <= 0xFF5E ? c - 0xFEE0 : c);
}

std::u32string lower_each(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (c < 0x80 || !utf8_locale()) {
      out.push_back(c >= U'A' && c <= U'Z' ? c + 0x20 : c);
    } else if (c == U'\u0130') {
      out += U"i\u0307";
    } else {
      out.push_back(static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), utf8_locale())));
    }
  }
  return out;
}

std::u32string lower_in_context(std::u32string_view text) { return lower_each(text); }

std::u32string upper(std::u32string_view text) {
  std::u32string out;
  for (const char32_t c : text) {
    const bool is_ascii_small = c >= U'a' && c <= U'z';
    const bool is_known = c >= 0x80 && utf8_locale();
    out.push_back(is_ascii_small ? c - 0x20
                  : is_known
                      ? static_cast<char32_t>(towupper_l(static_cast<wint_t>(c), utf8_locale()))
                      : c);
  }
  return out;
}

bool has_full_unicode() { return false; }

}  // namespace fourstep

#endif
