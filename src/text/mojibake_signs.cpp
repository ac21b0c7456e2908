#include "text/mojibake.h"

#include <array>
#include <cstdint>
#include <vector>

#include "text/unicode.h"

namespace fourstep {
namespace {

// Kinds of characters, as bits. The first ones are what ftfy tells apart in wrongly decoded text,
// the next ones what the bytes of UTF-8 become in code pages (a lead byte of 2, 3 or 4, or a byte
// that follows one).
using Kinds = uint32_t;
constexpr Kinds kCommon = 1 << 0, kC1 = 1 << 1, kBad = 1 << 2, kLaw = 1 << 3, kCurrency = 1 << 4,
                kOpening = 1 << 5, kClosing = 1 << 6, kNumeric = 1 << 7, kKaomoji = 1 << 8,
                kUpperAccented = 1 << 9, kLowerAccented = 1 << 10, kUpperOther = 1 << 11,
                kLowerOther = 1 << 12, kBox = 1 << 13;
constexpr Kinds kLeadOf2 = 1 << 14, kLeadOf3 = 1 << 15, kLeadOf4 = 1 << 16, kTail = 1 << 17,
                kCertainTail = 1 << 18;
constexpr Kinds kSpace = 1 << 19, kWord = 1 << 20, kLatin = 1 << 21, kSmallLatin = 1 << 22,
                kNotLatin = 1 << 23, kNoLineEnd = 1 << 24;

constexpr Kinds kAccented = kLowerAccented | kUpperAccented;
constexpr Kinds kPunctuation = kOpening | kClosing;
constexpr Kinds kMarks = kAccented | kBox | kPunctuation | kCurrency | kNumeric | kLaw;

struct KindOf {
  Kinds kind;
  std::u32string_view characters;  ///< "a-z" is a range; no set has a hyphen
};

constexpr KindOf kSets[] = {
    {kCommon, U"\u00A0\u00AD´·–—―’…"},
    {kC1, U"\u0080-\u009F"},
    {kBad, U"¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\uFFFD"},
    {kLaw, U"§¶"},
    {kCurrency, U"¢£¥₧€"},
    {kOpening, U"¡©«¿΄΅‘‚“„•‹\uF8FF"},
    {kClosing, U"®»˝”›™"},
    {kNumeric, U"±²³µ¹¼½¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥"},
    {kKaomoji, U"°Ò-ÖÙ-Üò-öø-üŌŐŪŲ"},
    {kUpperAccented, U"À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"},
    {kLowerAccented, U"ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ"},
    {kUpperOther, U"ÞΆΈΉΊΌΎΏΑ-ΫЁ-Я"},
    {kLowerOther, U"ά-ωа-џ"},
    {kBox, U"│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓"},
    {kLeadOf2, U"Â-ßĀĂĆČĎĐĒĖĘĚĞĢĪİĶĹĻŁŃŅŇŌŐŘŚŞŠŢŪŮŰŲŹŻŽΒ-ΡΣ-ίВ-Я"},
    {kLeadOf3, U"à-ïāăąćčďēėęěģīįķĺļŕźΰ-οа-п"},
    {kLeadOf4, U"ðóđğšπσру"},
    {kTail, U" \u0080-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁ-ЌЎЏё-ќўџҐґ–—―‘’‚“”„†‡•…‰‹›€№™"},
    {kCertainTail, U"\u0080-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁ-ЌЎЏё-ќўџҐґ†‡‰‹›€№™"},
};

bool is_in_set(char32_t c, std::u32string_view set) {
  for (size_t i = 0; i < set.size(); ++i) {
    const bool is_range = i + 2 < set.size() && set[i + 1] == U'-';
    if (is_range ? c >= set[i] && c <= set[i + 2] : c == set[i]) return true;
    if (is_range) i += 2;
  }
  return false;
}

Kinds kinds_of(char32_t c) {
  const bool is_small = c >= U'a' && c <= U'z';
  const bool is_latin = is_small || (c >= U'A' && c <= U'Z');
  const CharClass group = char_class(c);
  Kinds kinds = (is_latin ? kLatin : kNotLatin) | (is_small ? kSmallLatin : 0) |
                (c == U'\n' ? 0 : kNoLineEnd) | (group == CharClass::kSpace ? kSpace : 0);
  if (c == U'_' || group == CharClass::kLetter || group == CharClass::kNumber) kinds |= kWord;
  if (c < 0x80) return kinds | (c == U' ' ? kTail : 0);
  for (const KindOf& set : kSets) {
    if (is_in_set(c, set.characters)) kinds |= set.kind;
  }
  return kinds;
}

/// One character of a sign: of one of the kinds, or one of the set.
struct Place {
  Kinds kinds = 0;
  std::u32string_view characters = {};

  bool is_end() const { return kinds == 0 && characters.empty(); }
};

constexpr size_t kLongestSign = 7;
using Sign = std::array<Place, kLongestSign>;  ///< the rest is empty places

constexpr Place one(std::u32string_view characters) { return {0, characters}; }
constexpr Place of(Kinds kinds, std::u32string_view characters = {}) { return {kinds, characters}; }

constexpr Place kArabicLead = one(U"ØÙ");
constexpr Place kArabicTail = of(kCommon | kCurrency | kBad | kNumeric | kOpening, U"ŸŠ®°µ»");
constexpr Place kCyrillicLead = one(U"ВГРС"), kGreekLead = one(U"ΒΓΞΟ");
constexpr Kinds kByteLike = kC1 | kBad | kPunctuation | kCurrency;

constexpr Sign kSigns[] = {
    // Kinds that do not stand beside each other.
    {of(kC1)},
    {of(kMarks | kBad), of(kBad)},
    {of(kLatin), of(kLowerOther | kUpperOther), of(kBad)},
    {of(kBad), of(kMarks)},
    {of(kLowerAccented | kLowerOther | kBox | kClosing | kCurrency | kNumeric), of(kUpperAccented)},
    {of(kBox | kClosing | kCurrency | kNumeric), of(kLowerAccented)},
    {of(kLowerAccented | kBox | kClosing), of(kCurrency)},
    {of(kSpace), of(kUpperAccented), of(kCurrency)},
    {of(kUpperAccented | kBox), of(kNumeric | kLaw)},
    {of(kAccented | kBox | kCurrency | kClosing), of(kOpening), of(kNumeric)},
    {of(kAccented | kCurrency | kNumeric | kBox | kLaw), of(kClosing), of(kOpening)},
    {of(kCurrency | kNumeric | kBox), of(kOpening)},
    {of(kSmallLatin), of(kUpperAccented), of(kOpening | kCurrency)},
    {of(kBox), of(kKaomoji)},
    {of(kAccented | kCurrency | kNumeric | kPunctuation | kLaw), of(kBox)},
    {of(kBox), of(kClosing)},
    {of(kAccented), of(kPunctuation), of(kWord)},
    {one(U"Œœ"), of(kNotLatin)},
    {of(kUpperAccented), one(U"°")},
    // Windows-1252 read as such: Latin-1 letters, Arabic, South Asian alphabets.
    {one(U"ÂÃÎÐ"), of(kPunctuation, U"€œŠš¢£Ÿž\u00A0\u00AD®©°·»–—´")},
    {one(U"×"), one(U"²³")},
    {kArabicLead, kArabicTail, kArabicLead, kArabicTail},
    {one(U"à"), one(U"²µ¹¼½¾")},
    // MacRoman.
    {one(U"√"), one(U"±∂†≠®™´≤≥¥µø")},
    {one(U"≈"), one(U"°¢")},
    {one(U"‚"), one(U"Ä"), one(U"ìîïòôúùû†°¢π")},
    {one(U"‚"), one(U"âó"), one(U"àä°ê")},
    // Windows-1251.
    {one(U"в"), one(U"Ђ")},
    {kCyrillicLead, of(kByteLike, U"°µ"), kCyrillicLead},
    {one(U"Г"), one(U"ў"), one(U"В"), one(U"Ђ"), one(U"В"), of(kNoLineEnd), of(kLatin, U" ")},
    // Windows-1252 again: "à", "á" and the no-break space, where a blank took its place.
    {one(U"Ã"), one(U"\u00A0¡")},
    {of(kSmallLatin), one(U"ÃÂ"), one(U" ")},
    {of(kSmallLatin), of(kSpace), one(U"ÃÂ"), one(U" ")},
    {of(kSmallLatin | kClosing, U".,?!"), one(U"Â"), of(kPunctuation, U" ")},
    // Windows-1253 and Windows-1257.
    {one(U"β"), one(U"€"), one(U"™\u00A0Ά\u00AD®°")},
    {kGreekLead, of(kByteLike, U"°"), kGreekLead},
    {one(U"ā"), one(U"€")},
};

bool is_at(std::u32string_view text, const std::vector<Kinds>& kinds, size_t i, const Sign& sign) {
  for (const Place& place : sign) {
    if (place.is_end()) return true;
    if (i == text.size()) return false;
    if ((kinds[i] & place.kinds) == 0 && !is_in_set(text[i], place.characters)) return false;
    ++i;
  }
  return true;
}

/// How many characters from `i` on are one sequence of UTF-8 whose bytes were read one by one; 0:
/// none.
size_t sequence_length(std::u32string_view text, size_t i) {
  const Kinds lead = kinds_of(text[i]);
  const size_t length = (lead & kLeadOf2) ? 2 : (lead & kLeadOf3) ? 3 : (lead & kLeadOf4) ? 4 : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((kinds_of(text[i + k]) & kTail) == 0) return 0;
  }
  return length;
}

}  // namespace

bool looks_misdecoded(std::u32string_view text) {
  std::vector<Kinds> kinds;
  kinds.reserve(text.size());
  for (const char32_t c : text) kinds.push_back(kinds_of(c));
  constexpr Sign kAtStart = {one(U"ÃÂ"), one(U" ")};
  if (is_at(text, kinds, 0, kAtStart)) return true;
  for (size_t i = 0; i < text.size(); ++i) {
    for (const Sign& sign : kSigns) {
      if (is_at(text, kinds, i, sign)) return true;
    }
  }
  return false;
}

size_t misdecoded_run(std::u32string_view text, size_t i) {
  if (i > 0 && (kinds_of(text[i - 1]) & kCertainTail)) return 0;
  size_t end = i;
  while (end < text.size()) {
    const size_t length = sequence_length(text, end);
    if (length == 0) break;
    end += length;
  }
  return end - i;
}

}  // namespace fourstep
