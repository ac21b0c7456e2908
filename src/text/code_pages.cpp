#include "text/code_pages.h"

namespace fourstep {
namespace {

constexpr size_t kUpperHalf = 128;
constexpr char32_t kSubstitute = 0x1A;

// The characters of the bytes 0x80 to 0xFF. Where a page has none, the byte's own number stands, as
// in browsers.
// Source: the mappings of the Unicode Consortium (MAPPINGS/VENDORS, MAPPINGS/ISO8859).
constexpr std::u32string_view kWindows1252 =
    U"€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008DŽ\u008F\u0090‘’“”•–—˜™š›œ\u009DžŸ\u00A0¡¢£¤¥¦§¨©ª«¬\u00AD®¯°±²³´"
    U"µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ";
constexpr std::u32string_view kWindows1251 =
    U"ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u0098™љ›њќћџ\u00A0ЎўЈ¤Ґ¦§Ё©Є«¬\u00AD®Ї°±Ііґµ¶·ё№є»јЅѕїАБВГДЕЖЗИ"
    U"ЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя";
constexpr std::u32string_view kWindows1250 =
    U"€\u0081‚\u0083„…†‡\u0088‰Š‹ŚŤŽŹ\u0090‘’“”•–—\u0098™š›śťžź\u00A0ˇ˘Ł¤Ą¦§¨©Ş«¬\u00AD®Ż°±˛ł´"
    U"µ¶·¸ąş»Ľ˝ľżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙";
constexpr std::u32string_view kWindows1253 =
    U"€\u0081‚ƒ„…†‡\u0088‰\u008A‹\u008C\u008D\u008E\u008F\u0090‘’“”•–—\u0098™\u009A›\u009C"
    U"\u009D\u009E\u009F\u00A0΅Ά£¤¥¦§¨©ª«¬\u00AD®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡÒΣΤΥΦΧΨΩΪΫ"
    U"άέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώÿ";
constexpr std::u32string_view kWindows1254 =
    U"€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008D\u008E\u008F\u0090‘’“”•–—˜™š›œ\u009D\u009EŸ\u00A0¡¢£¤¥¦§¨©ª«¬"
    U"\u00AD®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞßàáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ";
constexpr std::u32string_view kWindows1257 =
    U"€\u0081‚\u0083„…†‡\u0088‰\u008A‹\u008C¨ˇ¸\u0090‘’“”•–—\u0098™\u009A›\u009C¯˛\u009F\u00A0"
    U"¡¢£¤¥¦§Ø©Ŗ«¬\u00AD®Æ°±²³´µ¶·ø¹ŗ»¼½¾æĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽßąįāćäåęēčéźėģķīļšńņó"
    U"ōõö÷ųłśūüżž˙";
constexpr std::u32string_view kIso8859_2 =
    U"\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008A\u008B\u008C\u008D"
    U"\u008E\u008F\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009A\u009B"
    U"\u009C\u009D\u009E\u009F\u00A0Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u00ADŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐ"
    U"Ö×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙";
constexpr std::u32string_view kMacRoman =
    U"ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u00A0ÀÃÕŒœ–—“"
    U"”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uF8FFÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";
constexpr std::u32string_view kDos437 =
    U"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫"
    U"╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00A0";
static_assert(kWindows1252.size() == kUpperHalf && kWindows1251.size() == kUpperHalf &&
              kWindows1250.size() == kUpperHalf && kWindows1253.size() == kUpperHalf &&
              kWindows1254.size() == kUpperHalf && kWindows1257.size() == kUpperHalf &&
              kIso8859_2.size() == kUpperHalf && kMacRoman.size() == kUpperHalf &&
              kDos437.size() == kUpperHalf);

std::u32string_view upper_half(CodePage page) {
  switch (page) {
    case CodePage::kLatin1:
      break;
    case CodePage::kWindows1252:
      return kWindows1252;
    case CodePage::kWindows1251:
      return kWindows1251;
    case CodePage::kWindows1250:
      return kWindows1250;
    case CodePage::kWindows1253:
      return kWindows1253;
    case CodePage::kWindows1254:
      return kWindows1254;
    case CodePage::kWindows1257:
      return kWindows1257;
    case CodePage::kIso8859_2:
      return kIso8859_2;
    case CodePage::kMacRoman:
      return kMacRoman;
    case CodePage::kDos437:
      return kDos437;
  }
  return {};
}

/// The byte of a character; nothing where the page has none.
std::optional<uint8_t> byte_of(char32_t c, CodePage page, std::u32string_view upper) {
  if (has_substitute(page)) {
    if (c == U'\uFFFD') return kSubstitute;
    if (c == kSubstitute) return std::nullopt;
  }
  if (c < kUpperHalf || (page == CodePage::kLatin1 && c < 2 * kUpperHalf)) {
    return static_cast<uint8_t>(c);
  }
  const size_t place = upper.find(c);
  if (place == std::u32string_view::npos) return std::nullopt;
  return static_cast<uint8_t>(kUpperHalf + place);
}

}  // namespace

bool has_substitute(CodePage page) {
  return page >= CodePage::kWindows1252 && page <= CodePage::kWindows1257;
}

char32_t windows_1252_char(uint8_t byte) {
  return byte < kUpperHalf ? byte : kWindows1252[byte - kUpperHalf];
}

std::optional<std::string> bytes_in_page(std::u32string_view text, CodePage page) {
  const std::u32string_view upper = upper_half(page);
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    const std::optional<uint8_t> byte = byte_of(c, page, upper);
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
  }
  return bytes;
}

}  // namespace fourstep
