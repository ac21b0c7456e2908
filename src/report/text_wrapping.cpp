#include "report/text_wrapping.h"

#include <algorithm>

#include "base/utf8.h"

namespace fourstep {

namespace {

constexpr const char* kEllipsis = "\u2026";

std::string utf8_of(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

std::u32string_view without_blanks_behind(std::u32string_view text) {
  while (!text.empty() && text.back() == U' ') text.remove_suffix(1);
  return text;
}

std::u32string_view without_blanks_before(std::u32string_view text) {
  while (!text.empty() && text.front() == U' ') text.remove_prefix(1);
  return text;
}

/// The largest number of characters from the start of `text` for which `fits(number)` holds. Doubling first:
/// a line is short, the text may be long.
template <typename Fits>
size_t count_fitting(size_t num_characters, const Fits& fits) {
  size_t known = 0, step = 8;
  while (known + step < num_characters && fits(known + step)) {
    known += step;
    step *= 2;
  }
  size_t bound =
      std::min(num_characters, known + step) + 1;  // the first that is out of the question
  while (known + 1 < bound) {
    const size_t middle = known + (bound - known) / 2;
    (fits(middle) ? known : bound) = middle;
  }
  return known;
}

std::string elide(std::u32string_view text, double width, const TextWidth& width_of) {
  const auto elided = [&](size_t n) {
    return utf8_of(without_blanks_behind(text.substr(0, n))) + kEllipsis;
  };
  const auto fits = [&](size_t n) { return width_of(utf8_of(text.substr(0, n))) <= width; };
  if (count_fitting(text.size(), fits) == text.size()) return utf8_of(text);
  return elided(count_fitting(text.size(), [&](size_t n) { return width_of(elided(n)) <= width; }));
}

/// How many characters of `text` the next line takes.
size_t line_length(std::u32string_view text, double width, const TextWidth& width_of) {
  const auto fits = [&](size_t n) {
    return width_of(utf8_of(without_blanks_behind(text.substr(0, n)))) <= width;
  };
  const size_t fitting = count_fitting(text.size(), fits);
  if (fitting == text.size() || text[fitting] == U' ') return std::max<size_t>(fitting, 1);
  const size_t blank = text.substr(0, fitting).rfind(U' ');
  return blank == std::u32string_view::npos ? std::max<size_t>(fitting, 1) : blank;
}

std::u32string with_blanks_only(std::u32string text) {
  for (char32_t& c : text) {
    if (c == U'\t' || c == U'\r') c = U' ';
  }
  return text;
}

}  // namespace

std::string elide_text(std::string_view text, double width, const TextWidth& width_of) {
  return elide(decode_utf8(text), width, width_of);
}

std::vector<std::string> wrap_text(std::string_view text, double width, int64_t max_lines,
                                   const TextWidth& width_of) {
  std::u32string all = with_blanks_only(decode_utf8(text));
  std::u32string_view rest = without_blanks_before(all);
  std::vector<std::string> lines;
  while (!rest.empty() && std::ssize(lines) + 1 < max_lines) {
    const std::u32string_view paragraph = rest.substr(0, rest.find(U'\n'));
    const size_t taken = paragraph.empty() ? 0 : line_length(paragraph, width, width_of);
    lines.push_back(utf8_of(without_blanks_behind(paragraph.substr(0, taken))));
    rest = without_blanks_before(rest.substr(taken));
    const bool is_break = !rest.empty() && rest.front() == U'\n';
    if (is_break) rest = without_blanks_before(rest.substr(1));
  }
  if (rest.empty() || max_lines < 1) return lines;
  std::u32string last(without_blanks_behind(rest));
  std::replace(last.begin(), last.end(), U'\n', U' ');
  lines.push_back(elide(last, width, width_of));
  return lines;
}

}  // namespace fourstep
