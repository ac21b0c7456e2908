// The Unicode functions of full builds: ICU's tables.
#ifndef FOURSTEP_MINIMAL

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include "base/error.h"
#include "text/unicode.h"

namespace fourstep {
namespace {

icu::UnicodeString to_icu(std::u32string_view text) {
  return icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                       static_cast<int32_t>(text.size()));
}

std::u32string from_icu(const icu::UnicodeString& text) {
  std::u32string out;
  out.reserve(text.length());
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1))
    out.push_back(text.char32At(i));
  return out;
}

const icu::Normalizer2& normalizer(const icu::Normalizer2* (*instance)(UErrorCode&)) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = instance(status);
  if (U_FAILURE(status)) throw Error("ICU: no normalization data ({})", u_errorName(status));
  return *found;
}

icu::UnicodeString normalized(const icu::Normalizer2& form, const icu::UnicodeString& text) {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeString out = form.normalize(text, status);
  if (U_FAILURE(status)) throw Error("ICU: normalization failed ({})", u_errorName(status));
  return out;
}

}  // namespace

CharClass char_class(char32_t c) {
  const uint32_t category = U_MASK(u_charType(static_cast<UChar32>(c)));
  if (category & U_GC_L_MASK) return CharClass::kLetter;
  if (category & U_GC_N_MASK) return CharClass::kNumber;
  return u_isUWhiteSpace(static_cast<UChar32>(c)) ? CharClass::kSpace : CharClass::kOther;
}

bool is_control(char32_t c) {
  return (U_MASK(u_charType(static_cast<UChar32>(c))) & U_GC_C_MASK) != 0;
}

bool is_mark(char32_t c) {
  return (U_MASK(u_charType(static_cast<UChar32>(c))) & U_GC_M_MASK) != 0;
}

bool is_emoji(char32_t c) {
  constexpr char32_t kFirstPicture = 0x2194;
  const auto code = static_cast<UChar32>(c);
  return u_hasBinaryProperty(code, UCHAR_REGIONAL_INDICATOR) ||
         (c >= kFirstPicture && u_hasBinaryProperty(code, UCHAR_EXTENDED_PICTOGRAPHIC));
}

bool is_invisible(char32_t c) {
  const auto code = static_cast<UChar32>(c);
  return u_charType(code) == U_FORMAT_CHAR ||
         u_hasBinaryProperty(code, UCHAR_DEFAULT_IGNORABLE_CODE_POINT);
}

std::u32string to_nfc(std::u32string text) {
  // No character below U+0300 changes under NFC, alone or beside others of them.
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; })) return text;
  return from_icu(normalized(normalizer(icu::Normalizer2::getNFCInstance), to_icu(text)));
}

void append_nfkc(std::u32string& out, char32_t c) {
  out += from_icu(normalized(normalizer(icu::Normalizer2::getNFKCInstance), to_icu({&c, 1})));
}

std::u32string lower_each(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (c == U'\u0130') {
      out += U"i\u0307";
    } else {
      out.push_back(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
    }
  }
  return out;
}

std::u32string lower_in_context(std::u32string_view text) {
  return from_icu(to_icu(text).toLower(icu::Locale::getRoot()));
}

std::u32string upper(std::u32string_view text) {
  return from_icu(to_icu(text).toUpper(icu::Locale::getRoot()));
}

bool has_full_unicode() { return true; }

}  // namespace fourstep

#endif
