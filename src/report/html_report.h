#pragma once
// One HTML page that stands for itself: no script, nothing loaded from elsewhere, light or dark as
// the reader prefers, readable on a phone.

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "report/table.h"

namespace fourstep {

struct ReportHeading {
  std::string text;
  int level = 2;  ///< 2 or 3; the title of the page is 1
};

struct ReportParagraph {
  std::string text;  ///< plain text; line breaks are kept
};

struct ReportTable {
  Table table;
  std::string caption = {};
};

struct ReportPlot {
  std::string svg;  ///< as svg_plot.h makes it; stands in the page as it is
  std::string caption = {};
};

struct ReportPicture {
  std::string source;  ///< what linked_picture() returned
  std::string caption = {};
  std::string description = {};  ///< for readers who do not see it; the caption when empty
};

struct ReportWarnings {
  std::vector<std::string> sentences;  ///< none: the page says that there is nothing to warn of
};

using ReportSection = std::variant<ReportHeading, ReportParagraph, ReportTable, ReportPlot,
                                   ReportPicture, ReportWarnings>;

struct HtmlReport {
  std::string title;
  /// Neighbouring plots stand side by side where there is room.
  std::vector<ReportSection> sections;
};

/// A link from the folder of the report to the picture, so that both can be moved together.
/// Throws InvalidRequest unless `path` is relative.
std::string linked_picture(const std::filesystem::path& path);

/// The page as text.
/// Throws InvalidRequest for a heading of another level, a table with an overlong row, a plot that
/// is no <svg> element or holds a script, and a picture whose source the functions above did not
/// make.
std::string html_from_report(const HtmlReport& report);

/// Writes html_from_report() whole or not at all (see io/atomic_file.h).
void write_report(const std::filesystem::path& path, const HtmlReport& report);

}  // namespace fourstep
