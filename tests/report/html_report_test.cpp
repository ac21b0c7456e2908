#include "report/html_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "report/svg_plot.h"
#include "support/files.h"
#include "xml_elements.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;
using testing::parse_xml;
using testing::with_class;

ReportPlot plot() {
  LinePlot spec;
  spec.series = {{"a", {0, 1}, {0, 1}}};
  return {line_plot_svg(spec), "A plot"};
}

HtmlReport full_report() {
  HtmlReport report;
  report.title = "Run <7> & more";
  report.sections = {ReportHeading{"Losses"},
                     ReportParagraph{"if a < b && c"},
                     plot(),
                     plot(),
                     ReportTable{{{{"FD"}}, {{"<i>"}}}, "a table"},
                     plot(),
                     ReportPicture{"sheet%20one.png", "Samples \"now\""},
                     ReportWarnings{{"Critic lag: a < b."}},
                     ReportWarnings{}};
  return report;
}

TEST(HtmlReportPage, IsWellFormedWithAllSections) {
  const auto page = parse_xml(html_from_report(full_report()));
  const auto count = [&](const std::string& name) {
    return std::count_if(page.begin(), page.end(), [&](const auto& e) { return e.name == name; });
  };
  const auto find = [&](const std::string& name) {
    return *std::find_if(page.begin(), page.end(), [&](const auto& e) { return e.name == name; });
  };
  EXPECT_EQ(find("title").text, "Run <7> & more");
  EXPECT_EQ(find("h1").text, "Run <7> & more");
  EXPECT_EQ(find("h2").text, "Losses");
  EXPECT_EQ(find("p").text, "if a < b && c");
  EXPECT_EQ(find("td").text, "<i>");
  EXPECT_EQ(find("img").get("src"), "sheet%20one.png");
  EXPECT_EQ(find("img").get("alt"), "Samples \"now\"");
  EXPECT_EQ(find("li").text, "Critic lag: a < b.");
  EXPECT_EQ(with_class(page, "fourstep-plot").size(), 3U);
  EXPECT_EQ(with_class(page, "plots").size(), 2U) << "neighbours share a row";
  EXPECT_EQ(with_class(page, "fine").at(0).text, "No warnings.");
  EXPECT_EQ(count("figcaption"), 5);
}

TEST(HtmlReportPage, NeedsNothingButItself) {
  const std::string page = html_from_report(full_report());
  for (const char* foreign :
       {"<script", "<link", "@import", "url(", "https:", "src=\"http", "javascript:"}) {
    EXPECT_THAT(page, Not(HasSubstr(foreign)));
  }
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(page, HasSubstr("width=device-width"));
}

TEST(HtmlReportPage, WhatWouldNotBeSelfContainedIsRefused) {
  const auto refused = [](const ReportSection& section) {
    return message_of<InvalidRequest>([&] { html_from_report({"t", {section}}); });
  };
  EXPECT_THAT(refused(ReportPicture{"https://example.org/a.png"}), HasSubstr("example.org"));
  EXPECT_THAT(refused(ReportPicture{"//example.org/a.png"}), HasSubstr("relative"));
  EXPECT_THAT(refused(ReportPicture{""}), HasSubstr("relative"));
  EXPECT_THAT(refused(ReportPlot{"<svg><script>x</script></svg>"}), HasSubstr("script"));
  EXPECT_THAT(refused(ReportPlot{"a plot"}), HasSubstr("<svg>"));
  EXPECT_THAT(refused(ReportHeading{"h", 4}), HasSubstr("level 4"));
}

TEST(HtmlReportPage, IsWrittenWhole) {
  const testing::TemporaryFolder folder;
  write_report(folder.path() / "report.html", full_report());
  EXPECT_EQ(testing::read_file(folder.path() / "report.html"), html_from_report(full_report()));
}

TEST(ReportPictures, LinksAreRelativeAndEncoded) {
  EXPECT_EQ(linked_picture("sheets/run 1 #2?.png"), "sheets/run%201%20%232%3F.png");
  EXPECT_EQ(linked_picture("a:b\".png"), "a%3Ab%22.png");
  EXPECT_EQ(linked_picture("é.png"), "%C3%A9.png");
  EXPECT_THROW(linked_picture("/a.png"), InvalidRequest);
  EXPECT_THROW(linked_picture(""), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
