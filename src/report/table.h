#pragma once
// Tables of text for documents, terminals and web pages.

#include <string>
#include <vector>

namespace fourstep {

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

/// A Markdown table (GitHub's kind), its columns padded so that the source reads well too. Pipes and backslashes
/// are escaped, line breaks become <br>.
std::string markdown_from_table(const Table& table);

/// Columns padded for a monospaced font, two blanks between them, a line under the headings. Line breaks and
/// other control characters become blanks, so that cells cannot steer the terminal.
std::string text_from_table(const Table& table);

/// A <table> element, alignment as classes "left", "center" and "right". Line breaks become <br>.
std::string html_from_table(const Table& table);

}  // namespace fourstep
