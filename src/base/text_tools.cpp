#include "base/text_tools.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

namespace fourstep {

namespace {

struct Utf8Lead {
  int length;     ///< bytes of the sequence; 0: no lead byte
  char32_t bits;  ///< payload of the lead byte
  uint8_t low;    ///< smallest and
  uint8_t high;   ///< largest second byte (excludes overlong forms, surrogates, beyond U+10FFFF)
};

// Source: The Unicode Standard, table 3-7 "Well-Formed UTF-8 Byte Sequences".
Utf8Lead read_lead(uint8_t byte) {
  if (byte < 0x80) return {1, byte, 0, 0};
  if (byte < 0xC2 || byte > 0xF4) return {0, 0, 0, 0};
  if (byte < 0xE0) return {2, byte & 0x1Fu, 0x80, 0xBF};
  if (byte < 0xF0) {
    const uint8_t low = byte == 0xE0 ? 0xA0 : 0x80, high = byte == 0xED ? 0x9F : 0xBF;
    return {3, byte & 0x0Fu, low, high};
  }
  const uint8_t low = byte == 0xF0 ? 0x90 : 0x80, high = byte == 0xF4 ? 0x8F : 0xBF;
  return {4, byte & 0x07u, low, high};
}

}  // namespace

std::u32string decode_utf8(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    Utf8Lead lead = read_lead(static_cast<uint8_t>(bytes[i]));
    char32_t c = lead.bits;
    int used = 1;
    for (; used < lead.length && i + used < bytes.size(); ++used) {
      const uint8_t next = static_cast<uint8_t>(bytes[i + used]);
      if (next < lead.low || next > lead.high) break;
      c = c << 6 | (next & 0x3Fu);
      lead.low = 0x80, lead.high = 0xBF;
    }
    text.push_back(used == lead.length ? c : U'\uFFFD');
    i += used;
  }
  return text;
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&out, c](int shift) {
    out.push_back(static_cast<char>(0x80 | (c >> shift & 0x3F)));
  };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | c >> 12));
    tail(6), tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | c >> 18));
    tail(12), tail(6), tail(0);
  }
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kBlanks) - first + 1));
}

std::optional<double> finite_number(std::string_view text) {
  const std::string number = trimmed(text);
  const bool has_plus = number.starts_with('+');
  const char* begin = number.data() + (has_plus ? 1 : 0);
  const char* end = number.data() + number.size();
  if (begin == end || (has_plus && *begin == '-')) return std::nullopt;
  double value = 0;
  const auto [stop, failure] = std::from_chars(begin, end, value);
  if (failure != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string join_first(const std::vector<std::string>& names) {
  const size_t shown = std::min<size_t>(names.size(), 3);
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

namespace {

/// Four times the edit distance, so that there is room between; abbreviations and names cut short
/// come nearer.
size_t unlikeness(std::string_view a, std::string_view b) {
  const size_t distance = 4 * edit_distance(a, b);
  const bool is_start = a.size() > 2 && b.size() > 2 && (a.starts_with(b) || b.starts_with(a));
  return is_start ? distance / 4 : distance;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  constexpr size_t kCompared = 64;
  a = a.substr(0, kCompared);
  b = b.substr(0, kCompared);
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string joined_with_or(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    const char* before = i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
    text += before + names[i];
  }
  return text;
}

std::vector<std::string> nearest_of(std::string_view name, const std::vector<std::string>& known,
                                    size_t count) {
  const std::string wanted = lower_ascii(name);
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string& candidate : known) {
    ranked.emplace_back(unlikeness(lower_ascii(candidate), wanted), candidate);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> nearest;
  for (const auto& [distance, candidate] : ranked) {
    if (nearest.size() == count) break;
    if (std::find(nearest.begin(), nearest.end(), candidate) == nearest.end()) {
      nearest.push_back(candidate);
    }
  }
  return nearest;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const auto nearest = nearest_of(name, known);
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", joined_with_or(nearest));
}

}  // namespace fourstep
