#include "text/mojibake.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/text_tools.h"
#include "text/code_pages.h"

namespace fourstep {
namespace {

constexpr int kMostRounds = 32;  // bounds the work for texts that were made to need more

/// A set of bytes: pairs of a first and a last one.
using ByteSet = std::string_view;
constexpr size_t kLongestSequence = 6;
using BytePattern = std::array<ByteSet, kLongestSequence>;  ///< the rest is empty

bool is_in(char c, ByteSet set) {
  for (size_t i = 0; i + 1 < set.size(); i += 2) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= static_cast<uint8_t>(set[i]) && byte <= static_cast<uint8_t>(set[i + 1]))
      return true;
  }
  return false;
}

/// Length of the first pattern that fits at `i`, or 0.
template <size_t n>
size_t length_at(std::string_view bytes, size_t i, const BytePattern (&patterns)[n]) {
  for (const BytePattern& pattern : patterns) {
    size_t length = 0;
    while (length < pattern.size() && !pattern[length].empty() && i + length < bytes.size() &&
           is_in(bytes[i + length], pattern[length])) {
      ++length;
    }
    if (length == pattern.size() || pattern[length].empty()) return length;
  }
  return 0;
}

// Sequences of UTF-8 with a blank where the byte A0, the no-break space of code pages, was. Lead
// bytes are those whose character with A0 is a likely one.
constexpr ByteSet kBlank = "\x20\x20", kTailByte = "\x80\xBF",
                  kPlainTail = "\x80\x84\x86\x9F\xA1\xBF", kLeadF0 = "\xF0\xF0";
constexpr BytePattern kWithBlank[] = {
    {"\xC2\xC3\xC5\xC5\xCE\xCE\xD0\xD0\xD9\xD9", kBlank},
    {"\xE2\xE3", kBlank, kPlainTail},
    {"\xE0\xE3", kPlainTail, kBlank},
    {kLeadF0, kBlank, kTailByte, kTailByte},
    {kLeadF0, kTailByte, kBlank, kTailByte},
    {kLeadF0, kTailByte, kTailByte, kBlank},
};

// Sequences of UTF-8 in which a byte was lost: 1A stands for U+FFFD in Windows' code pages, and "?"
// may, once.
constexpr ByteSet kLost = "\x1A\x1A", kLostOrAsked = "\x1A\x1A??", kLostOrTail = "\x1A\x1A\x80\xBF",
                  kAnyTail = "\x1A\x1A??\x80\xBF", kThreeByteLead = "\xE0\xEF",
                  kFourByteLead = "\xF0\xF4", kLeadED = "\xED\xED", kHighHalf = "\xA0\xAF",
                  kLowHalf = "\xB0\xBF";
constexpr BytePattern kWithLoss[] = {
    {"\xC2\xDF", kLost},
    {"\xC2\xC3", "??"},
    {kLeadED, kHighHalf, kLostOrAsked, kLeadED, kLowHalf, kAnyTail},
    {kLeadED, kHighHalf, kAnyTail, kLeadED, kLowHalf, kLostOrAsked},
    {kThreeByteLead, kLostOrAsked, kLostOrTail},
    {kThreeByteLead, kLostOrTail, kLostOrAsked},
    {kFourByteLead, kLostOrAsked, kLostOrTail, kLostOrTail},
    {kFourByteLead, kLostOrTail, kLostOrAsked, kLostOrTail},
    {kFourByteLead, kLostOrTail, kLostOrTail, kLostOrAsked},
    {kLost},
};

constexpr std::string_view kPortugueseEndings[] = {" ", "quele", "quela", "quilo", "s "};

/// The word "à" before a blank keeps that blank, unless the two make a Portuguese word ("às",
/// "àquele").
std::string with_grave_words(std::string_view bytes) {
  constexpr std::string_view kLead = "\xC3 ";
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    out.push_back(bytes[i]);
    if (!bytes.substr(i).starts_with(kLead)) continue;
    const std::string_view rest = bytes.substr(i + kLead.size());
    const bool is_joined =
        std::any_of(std::begin(kPortugueseEndings), std::end(kPortugueseEndings),
                    [&](std::string_view ending) { return rest.starts_with(ending); });
    if (!is_joined) out.push_back('\xA0');
  }
  return out;
}

std::string with_lost_blanks(std::string_view bytes) {
  std::string out = with_grave_words(bytes);
  for (size_t i = 0; i < out.size();) {
    const size_t length = length_at(out, i, kWithBlank);
    const auto begin = out.begin() + static_cast<std::ptrdiff_t>(i);
    std::replace(begin, begin + static_cast<std::ptrdiff_t>(length), ' ', '\xA0');
    i += std::max<size_t>(length, 1);
  }
  return out;
}

bool has_lost_blanks(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (length_at(bytes, i, kWithBlank) > 0) return true;
  }
  return false;
}

std::string without_lossy_sequences(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    const size_t length = length_at(bytes, i, kWithLoss);
    if (length > 0) {
      append_utf8(out, U'\uFFFD');
    } else {
      out.push_back(bytes[i]);
    }
    i += std::max<size_t>(length, 1);
  }
  return out;
}

/// Nothing for ill-formed bytes.
std::optional<std::u32string> text_of_utf8(std::string_view bytes) {
  std::u32string text = decode_utf8(bytes);
  std::string again;
  for (const char32_t c : text) append_utf8(again, c);
  if (again != bytes) return std::nullopt;
  return text;
}

constexpr BytePattern kSurrogatePair[] = {
    {kLeadED, kHighHalf, kTailByte, kLeadED, kLowHalf, kTailByte}};
constexpr BytePattern kLongZero[] = {{"\xC0\xC0", "\x80\x80"}};

/// Source: CESU-8 (Unicode technical report 26).
char32_t character_of_pair(std::string_view pair) {
  const auto bits = [&](size_t i, int mask) { return static_cast<char32_t>(pair[i] & mask); };
  return 0x10000 + (bits(1, 0x0F) << 16 | bits(2, 0x3F) << 10 | bits(4, 0x0F) << 6 | bits(5, 0x3F));
}

/// UTF-8 in which surrogate pairs and a zero of two bytes are allowed too: CESU-8, and Java's own
/// form.
std::optional<std::u32string> text_of_utf8_variants(std::string_view bytes) {
  std::u32string text;
  size_t begin = 0;
  const auto add_until = [&](size_t end) {
    const auto part = text_of_utf8(bytes.substr(begin, end - begin));
    if (part) text += *part;
    return part.has_value();
  };
  for (size_t i = 0; i < bytes.size();) {
    const size_t pair = length_at(bytes, i, kSurrogatePair), zero = length_at(bytes, i, kLongZero);
    if (pair + zero == 0) {
      ++i;
      continue;
    }
    if (!add_until(i)) return std::nullopt;
    text.push_back(zero > 0 ? U'\0' : character_of_pair(bytes.substr(i, pair)));
    i += pair + zero;
    begin = i;
  }
  if (!add_until(bytes.size())) return std::nullopt;
  return text;
}

/// The text that was meant if it was UTF-8 read in the page; nothing where it was not.
std::optional<std::u32string> read_again(std::u32string_view text, CodePage page) {
  std::optional<std::string> bytes = bytes_in_page(text, page);
  if (!bytes) return std::nullopt;
  // In MacRoman an en dash before a blank would look like a lost byte.
  if (page != CodePage::kMacRoman && has_lost_blanks(*bytes)) bytes = with_lost_blanks(*bytes);
  if (has_substitute(page)) bytes = without_lossy_sequences(*bytes);
  return text_of_utf8_variants(*bytes);
}

/// The runs that look like UTF-8, each mended by itself.
std::u32string mend_runs(std::u32string_view text) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const size_t length = misdecoded_run(text, i);
    const std::u32string_view run = text.substr(i, length);
    if (length > 0 && length < text.size() && looks_misdecoded(run)) {
      out += mend_encoding(std::u32string(run));
    } else {
      out += length > 0 ? run : text.substr(i, 1);
    }
    i += std::max<size_t>(length, 1);
  }
  return out;
}

bool is_c1(char32_t c) { return c >= 0x80 && c < 0xA0; }

/// C1 controls as the characters of Windows-1252; those that this page leaves open stay.
std::u32string with_windows_characters(std::u32string text) {
  for (char32_t& c : text) {
    if (is_c1(c)) c = windows_1252_char(static_cast<uint8_t>(c));
  }
  return text;
}

std::u32string mend_once(std::u32string text) {
  const bool is_ascii = std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x80; });
  if (is_ascii || !looks_misdecoded(text)) return text;
  for (int page = 0; page <= static_cast<int>(CodePage::kDos437); ++page) {
    if (auto meant = read_again(text, static_cast<CodePage>(page))) return *std::move(meant);
  }
  std::u32string mended = mend_runs(text);
  return mended != text ? mended : with_windows_characters(std::move(text));
}

}  // namespace

std::u32string mend_encoding(std::u32string text) {
  for (int round = 0; round < kMostRounds; ++round) {
    std::u32string mended = mend_once(text);
    if (mended == text) break;
    text = std::move(mended);
  }
  return text;
}

}  // namespace fourstep
