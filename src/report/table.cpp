#include "report/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "report/markup.h"

namespace fourstep {

namespace {

using Cells = std::vector<std::string>;

/// The headings and then all rows, each with one cell per column, after `convert` made text for the target of it.
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
