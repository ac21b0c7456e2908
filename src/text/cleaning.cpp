#include "text/cleaning.h"

#include "base/utf8.h"
#include "text/html_entities.h"
#include "text/text_repair.h"
#include "text/unicode.h"

namespace fourstep {
namespace {

// Source: the block list of BERT's BasicTokenizer (CJK unified and compatibility ideographs).
bool is_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

std::u32string space_out(std::u32string_view text) {
  std::u32string out;
  for (const char32_t c : text) {
    const bool is_blank = c == U'\t' || c == U'\n' || c == U'\r';
    if (!is_blank && (c == U'\uFFFD' || is_control(c))) continue;
    if (is_ideograph(c)) {
      out += {U' ', c, U' '};
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::u32string clean_text(std::string_view prompt, Cleaning cleaning) {
  std::u32string text = decode_utf8(prompt);
  switch (cleaning) {
    case Cleaning::kNfc:
      return lower_each(to_nfc(std::move(text)));
    case Cleaning::kOpenAi:
      return lower_in_context(unescape_entities(unescape_entities(repair_text(text))));
    case Cleaning::kSlowFtfy:
      return lower_in_context(repair_text(text));
    case Cleaning::kSlowBasic:
      return lower_in_context(to_nfc(space_out(text)));
  }
  return text;
}

bool keeps_special_tokens(Cleaning cleaning) { return cleaning != Cleaning::kOpenAi; }

}  // namespace fourstep
