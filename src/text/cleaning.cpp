#include "text/cleaning.h"

#include <algorithm>
#include <utility>

#include "base/text_tools.h"
#include "text/code_pages.h"
#include "text/html_entities.h"
#include "text/mojibake.h"
#include "text/unicode.h"

namespace fourstep {

namespace {

constexpr int kMostPasses = 32;  // bounds the work for texts that were made to need more

using Replacement = std::pair<char32_t, std::u32string_view>;

// Letters that stand for two or three.
constexpr Replacement kLigatures[] = {
    {U'\u0132', U"IJ"},      {U'\u0133', U"ij"},      {U'\u0149', U"'n"},  {U'\u01C4', U"D\u017D"},
    {U'\u01C5', U"D\u017E"}, {U'\u01C6', U"d\u017E"}, {U'\u01C7', U"LJ"},  {U'\u01C8', U"Lj"},
    {U'\u01C9', U"lj"},      {U'\u01CA', U"NJ"},      {U'\u01CB', U"Nj"},  {U'\u01CC', U"nj"},
    {U'\u01F1', U"DZ"},      {U'\u01F2', U"Dz"},      {U'\u01F3', U"dz"},  {U'\uFB00', U"ff"},
    {U'\uFB01', U"fi"},      {U'\uFB02', U"fl"},      {U'\uFB03', U"ffi"}, {U'\uFB04', U"ffl"},
    {U'\uFB05', U"\u017Ft"}, {U'\uFB06', U"st"},
};

bool is_dropped_control(char32_t c) {
  const bool is_ascii_control = c < 0x20 && c != U'\t' && c != U'\n' && c != U'\f' && c != U'\r';
  return is_ascii_control || c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFC);
}

/// CR LF become two line ends here, which are one gap between words.
bool is_line_end(char32_t c) {
  return c == U'\r' || c == U'\u2028' || c == U'\u2029' || c == U'\u0085';
}

/// All replacements that look at one character.
void append_repaired(std::u32string& out, char32_t c) {
  if (c >= 0x80 && c < 0xA0) c = windows_1252_char(static_cast<uint8_t>(c));
  const auto ligature = std::find_if(std::begin(kLigatures), std::end(kLigatures),
                                     [c](const Replacement& r) { return r.first == c; });
  if (ligature != std::end(kLigatures)) {
    out += ligature->second;
  } else if (c >= 0xFF01 && c <= 0xFFEF) {
    append_nfkc(out, c);
  } else if (c == 0x3000) {
    out.push_back(U' ');
  } else if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) {
    out.push_back(U'\'');
  } else if (c >= 0x201C && c <= 0x201F) {
    out.push_back(U'"');
  } else {
    out.push_back(is_line_end(c) ? U'\n' : c);
  }
}

// Length of a terminal's colour code "ESC [ digits and semicolons letter" at `i`, or 0.
size_t terminal_escape_length(std::u32string_view text, size_t i) {
  if (text.substr(i, 2) != U"\x1B[") return 0;
  size_t end = i + 2;
  while (end < text.size() && ((text[end] >= U'0' && text[end] <= U'9') || text[end] == U';'))
    ++end;
  const bool has_letter =
      end < text.size() && text[end] < 0x80 && char_class(text[end]) == CharClass::kLetter;
  return has_letter ? end + 1 - i : 0;
}

std::u32string without_escapes_and_controls(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t escape = terminal_escape_length(text, i);
    if (escape == 0 && !is_dropped_control(text[i])) out.push_back(text[i]);
    i += std::max<size_t>(escape, 1);
  }
  return out;
}

std::u32string repair_once(std::u32string_view line, bool with_entities) {
  std::u32string text = with_entities ? unescape_closed_entities(line) : std::u32string(line);
  std::u32string out;
  for (const char32_t c : mend_encoding(std::move(text))) append_repaired(out, c);
  return to_nfc(without_escapes_and_controls(out));
}

std::u32string repair_line(std::u32string text, bool with_entities) {
  for (int pass = 0; pass < kMostPasses; ++pass) {
    std::u32string repaired = repair_once(text, with_entities);
    if (repaired == text) break;
    text = std::move(repaired);
  }
  return text;
}

}  // namespace

std::u32string repair_text(std::u32string_view text) {
  std::u32string out;
  bool with_entities = true;  // a "<" means real HTML, whose entities are meant as they are
  while (!text.empty()) {
    const size_t length = std::min(text.find(U'\n'), text.size() - 1) + 1;
    const std::u32string_view line = text.substr(0, length);
    with_entities = with_entities && line.find(U'<') == std::u32string_view::npos;
    out += repair_line(std::u32string(line), with_entities);
    text.remove_prefix(length);
  }
  return out;
}

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
