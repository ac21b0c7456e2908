// The Unicode functions of minimal builds, from the C library's C.UTF-8 locale. Exact for ASCII and
// Latin-1 and good for most letters; digits of other scripts count as letters there, and nothing is
// composed.
#ifdef FOURSTEP_MINIMAL

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <iterator>
#include <utility>

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

using Range = std::pair<char32_t, char32_t>;

template <size_t kCount>
bool is_within(const Range (&ranges)[kCount], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& range) { return c >= range.first && c <= range.second; });
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

bool is_mark(char32_t c) {
  constexpr Range kBlocks[] = {
      {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x064B, 0x065F}, {0x1AB0, 0x1AFF},
      {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0x3099, 0x309A}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
  return is_within(kBlocks, c);
}

bool is_emoji(char32_t c) {
  constexpr Range kBlocks[] = {{0x231A, 0x231B},   {0x23E9, 0x23FA},  {0x25FB, 0x25FE},
                               {0x2600, 0x27BF},   {0x2B05, 0x2B55},  {0x1F000, 0x1F0FF},
                               {0x1F1E6, 0x1F1FF}, {0x1F300, 0x1FAFF}};
  return is_within(kBlocks, c);
}

bool is_invisible(char32_t c) {
  constexpr Range kBlocks[] = {
      {0xAD, 0xAD},     {0x034F, 0x034F}, {0x061C, 0x061C}, {0x115F, 0x1160}, {0x17B4, 0x17B5},
      {0x180B, 0x180F}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F}, {0x3164, 0x3164},
      {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0xE0000, 0xE0FFF}};
  return is_within(kBlocks, c);
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
