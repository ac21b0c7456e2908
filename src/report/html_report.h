#pragma once
// One HTML page that stands for itself: no script, nothing loaded from elsewhere, light or dark as the reader
// prefers, readable on a phone.

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "io/image.h"
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
  std::string source;  ///< what embedded_picture(), embedded_file() or linked_picture() returned
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

/// The picture itself as the source of an <img>: a PNG in a data URI.
/// Throws Error where there is no PNG (FOURSTEP_MINIMAL builds).
std::string embedded_picture(const Image& image);

/// The same for a file, byte by byte as it is (PNG, JPEG or WebP by its name).
/// Throws InvalidRequest for another extension, Error naming the file when it cannot be read.
std::string embedded_file(const std::filesystem::path& path);

/// A link from the folder of the report to the picture, so that both can be moved together.
/// Throws InvalidRequest unless `path` is relative.
std::string linked_picture(const std::filesystem::path& path);

/// The page as text.
/// Throws InvalidRequest for a heading of another level, a table with an overlong row, a plot that is no <svg>
/// element or holds a script, and a picture whose source the functions above did not make.
std::string html_from_report(const HtmlReport& report);

/// Writes html_from_report() whole or not at all (see io/atomic_file.h).
void write_report(const std::filesystem::path& path, const HtmlReport& report);

}  // namespace fourstep
