#include "text/cleaning.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "text/unicode.h"

namespace fourstep {
namespace {

using Replacement = std::pair<char32_t, std::u32string_view>;

constexpr size_t kLongestEntity = 24;  // characters between "&" and ";"

struct Entity {
  std::u32string_view name;
  char32_t character;
};

constexpr Entity kEntities[] = {
    {U"amp", U'&'},         {U"lt", U'<'},          {U"gt", U'>'},          {U"quot", U'"'},
    {U"apos", U'\''},       {U"hellip", U'\u2026'}, {U"mdash", U'\u2014'},  {U"ndash", U'\u2013'},
    {U"lsquo", U'\u2018'},  {U"rsquo", U'\u2019'},  {U"ldquo", U'\u201C'},  {U"rdquo", U'\u201D'},
    {U"bull", U'\u2022'},   {U"euro", U'\u20AC'},   {U"trade", U'\u2122'},  {U"larr", U'\u2190'},
    {U"rarr", U'\u2192'},   {U"hearts", U'\u2665'}, {U"oelig", U'\u0153'},  {U"OElig", U'\u0152'},
    {U"sbquo", U'\u201A'},  {U"bdquo", U'\u201E'},  {U"dagger", U'\u2020'}, {U"prime", U'\u2032'},
    {U"ensp", U'\u2002'},   {U"emsp", U'\u2003'},   {U"thinsp", U'\u2009'}, {U"zwnj", U'\u200C'},
    {U"zwj", U'\u200D'},    {U"minus", U'\u2212'},  {U"infin", U'\u221E'},  {U"scaron", U'\u0161'},
    {U"Scaron", U'\u0160'}, {U"Yuml", U'\u0178'},
};

// U+00A0 to U+00FF in order. Source: HTML 4.01, section 24.2.
constexpr std::u32string_view kLatin1Entities[] = {
    U"nbsp",   U"iexcl",  U"cent",   U"pound",  U"curren", U"yen",    U"brvbar", U"sect",
    U"uml",    U"copy",   U"ordf",   U"laquo",  U"not",    U"shy",    U"reg",    U"macr",
    U"deg",    U"plusmn", U"sup2",   U"sup3",   U"acute",  U"micro",  U"para",   U"middot",
    U"cedil",  U"sup1",   U"ordm",   U"raquo",  U"frac14", U"frac12", U"frac34", U"iquest",
    U"Agrave", U"Aacute", U"Acirc",  U"Atilde", U"Auml",   U"Aring",  U"AElig",  U"Ccedil",
    U"Egrave", U"Eacute", U"Ecirc",  U"Euml",   U"Igrave", U"Iacute", U"Icirc",  U"Iuml",
    U"ETH",    U"Ntilde", U"Ograve", U"Oacute", U"Ocirc",  U"Otilde", U"Ouml",   U"times",
    U"Oslash", U"Ugrave", U"Uacute", U"Ucirc",  U"Uuml",   U"Yacute", U"THORN",  U"szlig",
    U"agrave", U"aacute", U"acirc",  U"atilde", U"auml",   U"aring",  U"aelig",  U"ccedil",
    U"egrave", U"eacute", U"ecirc",  U"euml",   U"igrave", U"iacute", U"icirc",  U"iuml",
    U"eth",    U"ntilde", U"ograve", U"oacute", U"ocirc",  U"otilde", U"ouml",   U"divide",
    U"oslash", U"ugrave", U"uacute", U"ucirc",  U"uuml",   U"yacute", U"thorn",  U"yuml",
};
static_assert(std::size(kLatin1Entities) == 0x60);

std::optional<char32_t> named_entity(std::u32string_view name) {
  for (const Entity& entity : kEntities) {
    if (entity.name == name) return entity.character;
  }
  const auto found = std::find(std::begin(kLatin1Entities), std::end(kLatin1Entities), name);
  if (found == std::end(kLatin1Entities)) return std::nullopt;
  return static_cast<char32_t>(0xA0 + (found - std::begin(kLatin1Entities)));
}

std::optional<char32_t> numeric_entity(std::u32string_view digits) {
  const bool is_hex = !digits.empty() && (digits[0] == U'x' || digits[0] == U'X');
  if (is_hex) digits.remove_prefix(1);
  if (digits.empty() || digits.size() > 8) return std::nullopt;
  uint64_t value = 0;
  for (const char32_t c : digits) {
    const char32_t lower = c >= U'A' && c <= U'F' ? c + 0x20 : c;
    const bool is_digit = c >= U'0' && c <= U'9';
    if (!is_digit && !(is_hex && lower >= U'a' && lower <= U'f')) return std::nullopt;
    value = value * (is_hex ? 16 : 10) + (is_digit ? c - U'0' : lower - U'a' + 10);
  }
  const bool is_surrogate = value >= 0xD800 && value < 0xE000;
  return value == 0 || value > 0x10FFFF || is_surrogate ? U'\uFFFD' : static_cast<char32_t>(value);
}

std::u32string unescape_html(std::u32string_view text) {
  std::u32string out;
  for (size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    if (text[i] != U'&') continue;
    const std::u32string_view ahead = text.substr(i + 1, kLongestEntity + 1);
    const size_t length = ahead.find(U';');
    if (length == std::u32string_view::npos || length == 0) continue;
    const auto character = ahead[0] == U'#' ? numeric_entity(ahead.substr(1, length - 1))
                                            : named_entity(ahead.substr(0, length));
    if (!character) continue;
    out.back() = *character;
    i += length + 1;
  }
  return out;
}

// Letters that stand for two or three, as ftfy takes them apart.
constexpr Replacement kLigatures[] = {
    {U'\u0132', U"IJ"},      {U'\u0133', U"ij"},      {U'\u0149', U"'n"},  {U'\u01C4', U"D\u017D"},
    {U'\u01C5', U"D\u017E"}, {U'\u01C6', U"d\u017E"}, {U'\u01C7', U"LJ"},  {U'\u01C8', U"Lj"},
    {U'\u01C9', U"lj"},      {U'\u01CA', U"NJ"},      {U'\u01CB', U"Nj"},  {U'\u01CC', U"nj"},
    {U'\u01F1', U"DZ"},      {U'\u01F2', U"Dz"},      {U'\u01F3', U"dz"},  {U'\uFB00', U"ff"},
    {U'\uFB01', U"fi"},      {U'\uFB02', U"fl"},      {U'\uFB03', U"ffi"}, {U'\uFB04', U"ffl"},
    {U'\uFB05', U"\u017Ft"}, {U'\uFB06', U"st"},
};

// Code page 1252 in place of the C1 controls U+0080 to U+009F; 0 where the page has no character.
constexpr std::array<char32_t, 32> kWindows1252 = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

bool is_dropped_control(char32_t c) {
  const bool is_ascii_control = c < 0x20 && c != U'\t' && c != U'\n' && c != U'\f' && c != U'\r';
  return is_ascii_control || c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
         (c >= 0xFFF9 && c <= 0xFFFC);
}

void append_repaired(std::u32string& out, char32_t c) {
  const bool is_c1 = c >= 0x80 && c < 0xA0;
  if (is_c1 && kWindows1252[c - 0x80] != 0) c = kWindows1252[c - 0x80];
  const auto ligature = std::find_if(std::begin(kLigatures), std::end(kLigatures),
                                     [c](const Replacement& r) { return r.first == c; });
  if (ligature != std::end(kLigatures)) {
    out += ligature->second;
  } else if (c >= 0xFF01 && c <= 0xFFEF) {
    append_nfkc(out, c);
  } else if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) {
    out.push_back(U'\'');
  } else if (c >= 0x201C && c <= 0x201F) {
    out.push_back(U'"');
  } else if (!is_dropped_control(c)) {
    out.push_back(c);
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

// The order of steps is ftfy's. A text with "<" is taken for real HTML and keeps its entities.
std::u32string repair_text(std::u32string text) {
  if (text.find(U'<') == std::u32string::npos) text = unescape_html(text);
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (const size_t length = terminal_escape_length(text, i)) {
      i += length - 1;
      continue;
    }
    append_repaired(out, text[i]);
  }
  return to_nfc(std::move(out));
}

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
      return lower_in_context(unescape_html(unescape_html(repair_text(std::move(text)))));
    case Cleaning::kSlowFtfy:
      return lower_in_context(repair_text(std::move(text)));
    case Cleaning::kSlowBasic:
      return lower_in_context(to_nfc(space_out(text)));
  }
  return text;
}

}  // namespace fourstep
