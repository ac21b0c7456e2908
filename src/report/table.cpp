#include "report/table.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/text_tools.h"

namespace fourstep {

namespace {

struct Range {
  char32_t first, last;
};

constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0xA4CF},
    Range{0xA960, 0xA97C},   Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},
    Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},   Range{0xFFE0, 0xFFE6},
    Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF}, Range{0x1F900, 0x1FAFF},
    Range{0x20000, 0x3FFFD},
};

constexpr std::array kWithoutWidth = {
    Range{0x0300, 0x036F}, Range{0x0483, 0x0489}, Range{0x0591, 0x05BD}, Range{0x064B, 0x065F},
    Range{0x1AB0, 0x1AFF}, Range{0x1DC0, 0x1DFF}, Range{0x200B, 0x200F}, Range{0x20D0, 0x20FF},
    Range{0xFE00, 0xFE0F}, Range{0xFE20, 0xFE2F}, Range{0xFEFF, 0xFEFF},
};

template <typename Ranges>
bool is_in(const Ranges& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

/// Source: XML 1.0, production 2 (Char).
bool is_xml_character(char32_t c) {
  if (c < 0x20) return c == U'\t' || c == U'\n' || c == U'\r';
  return c != 0xFFFE && c != 0xFFFF;
}

void append_escaped(std::string& out, char32_t c) {
  switch (c) {
    case U'&':
      out += "&amp;";
      return;
    case U'<':
      out += "&lt;";
      return;
    case U'>':
      out += "&gt;";
      return;
    case U'"':
      out += "&quot;";
      return;
    case U'\'':
      out += "&#39;";
      return;
    default:
      append_utf8(out, is_xml_character(c) ? c : U'\uFFFD');
  }
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  for (const char32_t c : decode_utf8(text)) append_escaped(out, c);
  return out;
}

std::string coordinate(double value) {
  const double rounded = std::round(value * 100) / 100;
  std::string text = fmt::format("{:.2f}", rounded == 0 ? 0.0 : rounded);  // no "-0"
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

double estimated_width_px(std::string_view text, double font_px) {
  return 0.6 * font_px * static_cast<double>(display_width(text));
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (const char32_t c : decode_utf8(text)) {
    if (!is_in(kWithoutWidth, c)) width += is_in(kWide, c) ? 2 : 1;
  }
  return width;
}

namespace {

using Cells = std::vector<std::string>;

/// The headings and then all rows, each with one cell per column, after `convert` made text for the
/// target of it.
template <typename Convert>
std::vector<Cells> grid_of(const Table& table, const Convert& convert) {
  std::vector<Cells> grid(1);
  for (const TableColumn& column : table.columns) grid[0].push_back(convert(column.heading));
  for (size_t i = 0; i < table.rows.size(); ++i) {
    if (table.rows[i].size() > table.columns.size())
      throw InvalidRequest("table: row {} has {} cells for {} columns", i, table.rows[i].size(),
                           table.columns.size());
    Cells& cells = grid.emplace_back();
    for (const std::string& cell : table.rows[i]) cells.push_back(convert(cell));
    cells.resize(table.columns.size());
  }
  return grid;
}

std::vector<size_t> widths_of(const std::vector<Cells>& grid, size_t at_least) {
  std::vector<size_t> widths(grid[0].size(), at_least);
  for (const Cells& cells : grid) {
    for (size_t c = 0; c < cells.size(); ++c) {
      widths[c] = std::max(widths[c], display_width(cells[c]));
    }
  }
  return widths;
}

std::string padded(const std::string& text, size_t width, Align align) {
  const size_t room = width - std::min(width, display_width(text));
  const size_t before = align == Align::kRight ? room : align == Align::kCenter ? room / 2 : 0;
  return std::string(before, ' ') + text + std::string(room - before, ' ');
}

/// `text` with every line break as `line_break`.
std::string with_breaks(const std::string& text, const char* line_break) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += line_break;
    } else if (c != '\r') {
      out += c;
    }
  }
  return out;
}

std::string escape_markdown(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '\\') out += '\\';
    out += c;
  }
  return with_breaks(out, "<br>");
}

/// C0 and C1 control characters as blanks; the latter are two bytes in UTF-8, 0xC2 and 0x80..0x9F.
std::string without_controls(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool is_c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;
    out += byte < 0x20 || byte == 0x7F || is_c1 ? ' ' : text[i];
    if (is_c1) ++i;
  }
  return out;
}

std::string markdown_rule(size_t width, Align align) {
  std::string rule(width, '-');
  if (align == Align::kCenter) rule.front() = ':';
  if (align != Align::kLeft) rule.back() = ':';
  return rule;
}

std::string class_of(Align align) {
  return align == Align::kRight ? "right" : align == Align::kCenter ? "center" : "left";
}

}  // namespace

std::string markdown_from_table(const Table& table) {
  const std::vector<Cells> grid = grid_of(table, escape_markdown);
  const std::vector<size_t> widths = widths_of(grid, 3);  // the shortest rule is ":-:"
  std::string out;
  for (size_t row = 0; row < grid.size(); ++row) {
    for (size_t c = 0; c < widths.size(); ++c) {
      out += fmt::format("| {} ", padded(grid[row][c], widths[c], table.columns[c].align));
    }
    out += "|\n";
    for (size_t c = 0; row == 0 && c < widths.size(); ++c) {
      out += fmt::format("| {} ", markdown_rule(widths[c], table.columns[c].align));
    }
    if (row == 0) out += "|\n";
  }
  return out;
}

std::string text_from_table(const Table& table) {
  std::vector<Cells> grid = grid_of(table, without_controls);
  const std::vector<size_t> widths = widths_of(grid, 1);
  Cells rule;
  for (const size_t width : widths) rule.emplace_back(width, '-');
  grid.insert(grid.begin() + 1, rule);
  std::string out;
  for (const Cells& cells : grid) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      line += (c == 0 ? "" : "  ") + padded(cells[c], widths[c], table.columns[c].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string html_from_table(const Table& table) {
  const std::vector<Cells> grid = grid_of(
      table, [](const std::string& cell) { return with_breaks(escape_markup(cell), "<br>"); });
  std::string out = "<table>\n<thead>\n";
  for (size_t row = 0; row < grid.size(); ++row) {
    const char* tag = row == 0 ? "th" : "td";
    out += "<tr>";
    for (size_t c = 0; c < grid[row].size(); ++c) {
      out += fmt::format("<{0} class=\"{1}\">{2}</{0}>", tag, class_of(table.columns[c].align),
                         grid[row][c]);
    }
    out += "</tr>\n";
    if (row == 0) out += "</thead>\n<tbody>\n";
  }
  return out + "</tbody>\n</table>\n";
}

}  // namespace fourstep
