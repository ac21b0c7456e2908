#pragma once
// Tables of text for documents, terminals and web pages.

#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

// What SVG and HTML writers share: text made safe, numbers made short.

/// `text` for XML and HTML, between tags and in quoted attributes: & < > " ' become entities; bytes
/// that are no UTF-8 and characters that XML forbids become U+FFFD.
std::string escape_markup(std::string_view text);

/// A coordinate with at most two decimals, without trailing zeros.
std::string coordinate(double value);

/// About how wide `text` will be in a sans-serif font of the given size: browsers choose the font,
/// so boxes around text are laid out with this estimate (0.6 of the size per character, twice that
/// for wide scripts).
double estimated_width_px(std::string_view text, double font_px);

/// How many columns of a terminal `text` takes: two for wide characters (East Asian ones, emoji),
/// none for combining marks. Source: the main ranges of Unicode's East Asian Width W and F, and of
/// general category Mn.
size_t display_width(std::string_view text);

enum class Align { kLeft, kCenter, kRight };

struct TableColumn {
  std::string heading;
  Align align = Align::kLeft;
};

struct Table {
  std::vector<TableColumn> columns;
  std::vector<std::vector<std::string>> rows;  ///< short rows end in empty cells
};

// Each throws InvalidRequest when a row has more cells than there are columns.

/// A Markdown table (GitHub's kind), its columns padded so that the source reads well too. Pipes
/// and backslashes are escaped, line breaks become <br>.
std::string markdown_from_table(const Table& table);

/// Columns padded for a monospaced font, two blanks between them, a line under the headings. Line
/// breaks and other control characters become blanks, so that cells cannot steer the terminal.
std::string text_from_table(const Table& table);

/// A <table> element, alignment as classes "left", "center" and "right". Line breaks become <br>.
std::string html_from_table(const Table& table);

}  // namespace fourstep
