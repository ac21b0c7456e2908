#include "report/svg_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "support/files.h"
#include "xml_elements.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::parse_xml;
using testing::with_class;
using testing::XmlElement;

const double kNan = std::numeric_limits<double>::quiet_NaN();

struct PathPoint {
  char command;
  double x, y;
};

/// The points of a path of absolute M and L; "h0" is left out.
std::vector<PathPoint> points_of(const XmlElement& path) {
  std::vector<PathPoint> points;
  const std::string data = path.get("d");
  for (size_t at = 0; at < data.size();) {
    if (data.compare(at, 2, "h0") == 0) {
      at += 2;
      continue;
    }
    PathPoint point{data[at], 0, 0};
    size_t used = 0;
    point.x = std::stod(data.substr(at + 1), &used);
    at += 1 + used;
    point.y = std::stod(data.substr(at), &used);
    at += used;
    points.push_back(point);
  }
  return points;
}

/// From pixels back to values, by two ticks of an axis: what a reader does.
class AxisReader {
 public:
  AxisReader(const std::vector<XmlElement>& svg, const std::string& tick_class,
             const std::string& coordinate, bool is_log)
      : is_log_(is_log) {
    const auto ticks = with_class(svg, tick_class);
    const XmlElement &first = ticks.at(0), &last = ticks.at(ticks.size() - 1);
    // Texts of the y axis stand 4.5 px below their line, to be at its height by eye.
    const double offset = coordinate == "y" ? 4.5 : 0;
    first_px_ = first.number(coordinate) - offset;
    per_px_ = (value_of(last) - value_of(first)) / (last.number(coordinate) - offset - first_px_);
    first_ = value_of(first);
  }
  double operator()(double px) const {
    const double value = first_ + (px - first_px_) * per_px_;
    return is_log_ ? std::pow(10, value) : value;
  }

 private:
  double value_of(const XmlElement& tick) const {
    const double value = std::stod(tick.text);
    return is_log_ ? std::log10(value) : value;
  }
  bool is_log_;
  double first_, first_px_, per_px_;
};

LinePlot simple_plot(std::vector<double> x, std::vector<double> y) {
  LinePlot plot;
  plot.title = "Loss";
  plot.series = {{"student", std::move(x), std::move(y)}};
  return plot;
}

TEST(LinePlotSvg, PointsStandWhereTheTicksSay) {
  const std::vector<double> x = {0, 100, 250, 400}, y = {2.5, 1.25, -0.5, 7};
  const auto svg = parse_xml(line_plot_svg(simple_plot(x, y)));
  const AxisReader x_of(svg, "x-tick", "x", false), y_of(svg, "y-tick", "y", false);
  const auto points = points_of(with_class(svg, "line").at(0));
  ASSERT_EQ(points.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(x_of(points[i].x), x[i], 0.02);  // coordinates have two decimals
    EXPECT_NEAR(y_of(points[i].y), y[i], 0.001);
    EXPECT_EQ(points[i].command, i == 0 ? 'M' : 'L');
  }
}

TEST(LinePlotSvg, LogarithmicAxesMapLogarithms) {
  LinePlot plot = simple_plot({1, 10, 1000}, {1e-4, 0.02, 3});
  plot.x.is_log = plot.y.is_log = true;
  const auto svg = parse_xml(line_plot_svg(plot));
  const AxisReader x_of(svg, "x-tick", "x", true), y_of(svg, "y-tick", "y", true);
  const auto points = points_of(with_class(svg, "line").at(0));
  ASSERT_EQ(points.size(), 3U);
  EXPECT_NEAR(x_of(points[1].x) / 10, 1, 1e-3);
  EXPECT_NEAR(y_of(points[0].y) / 1e-4, 1, 1e-3);
  EXPECT_NEAR(y_of(points[1].y) / 0.02, 1, 1e-3);
  EXPECT_NEAR(y_of(points[2].y) / 3, 1, 1e-3);
}

TEST(LinePlotSvg, WhatCannotBeShownIsAGap) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto svg = parse_xml(line_plot_svg(
      simple_plot({0, 1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, kNan, 3, 4, infinity, 2, -infinity, kNan})));
  const auto points = points_of(with_class(svg, "line").at(0));
  std::string commands;
  for (const PathPoint& point : points) commands += point.command;
  EXPECT_EQ(commands, "MLMLM");
  EXPECT_THAT(with_class(svg, "line").at(0).get("d"), HasSubstr("h0")) << "a single point is a dot";
  LinePlot plot = simple_plot({0, 1, 2}, {1, 0, 10});
  plot.y.is_log = true;
  EXPECT_EQ(points_of(with_class(parse_xml(line_plot_svg(plot)), "line").at(0)).at(1).command, 'M');
}

TEST(LinePlotSvg, PlotsWithoutDataSaySo) {
  for (const LinePlot& plot :
       {LinePlot{}, simple_plot({}, {}), simple_plot({1, 2}, {kNan, kNan})}) {
    const std::string svg = line_plot_svg(plot);
    EXPECT_THAT(svg, HasSubstr("no data"));
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_NO_THROW(parse_xml(svg));
  }
}

TEST(LinePlotSvg, TextsAreEscapedAndNamesAreInTheLegend) {
  LinePlot plot = simple_plot({0, 1}, {0, 1});
  plot.title = "<script>alert(1)</script> & co";
  plot.x.label = "x < y";
  plot.y.label = "\"y\"";
  plot.series.push_back({"w = 1 & \"2\"", {0, 1}, {1, 0}});
  plot.series.push_back({"", {0, 1}, {1, 0}});
  const std::string svg = line_plot_svg(plot);
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  const auto elements = parse_xml(svg);
  const auto has_text = [&](const std::string& text) {
    return std::any_of(elements.begin(), elements.end(),
                       [&](const XmlElement& element) { return element.text == text; });
  };
  EXPECT_EQ(with_class(elements, "title").at(0).text, plot.title);
  EXPECT_TRUE(has_text("x < y"));
  EXPECT_TRUE(has_text("\"y\""));
  EXPECT_TRUE(has_text("student"));
  EXPECT_TRUE(has_text("w = 1 & \"2\""));
  EXPECT_EQ(with_class(elements, "key").size(), 2U) << "no name, no entry in the legend";
  EXPECT_EQ(with_class(elements, "line").size(), 3U);
}

TEST(LinePlotSvg, SmoothedLinesLieOverFaintRawOnes) {
  LinePlot plot = simple_plot({0, 1, 2, 3}, {0, 4, 0, 4});
  plot.smoothing = 0.5;
  const auto svg = parse_xml(line_plot_svg(plot));
  ASSERT_EQ(with_class(svg, "raw").size(), 1U);
  const AxisReader y_of(svg, "y-tick", "y", false);
  const auto raw = points_of(with_class(svg, "raw").at(0));
  const auto line = points_of(with_class(svg, "line").at(0));
  EXPECT_NEAR(y_of(raw[1].y), 4, 0.01);
  EXPECT_NEAR(y_of(line[1].y), 8.0 / 3, 0.01) << "(0.5 * 0.5 * 0 + 0.5 * 4) / 0.75";
  plot.smoothing = 1;
  EXPECT_THROW(line_plot_svg(plot), InvalidRequest);
}

TEST(LinePlotSvg, ReferenceLinesStandAtTheirValueAndTheAxisReachesThem) {
  LinePlot plot = simple_plot({0, 10}, {1, 2});
  plot.references = {{"teacher", 5}};
  const auto svg = parse_xml(line_plot_svg(plot));
  const AxisReader y_of(svg, "y-tick", "y", false);
  const auto lines = with_class(svg, "reference");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NEAR(y_of(lines[0].number("y1")), 5, 0.01);
  EXPECT_EQ(lines[0].number("y1"), lines[0].number("y2"));
  const XmlElement name = with_class(svg, "reference-name").at(0);
  EXPECT_EQ(name.text, "teacher");
  EXPECT_GT(name.number("x"), lines[0].number("x2")) << "outside, where no line hides it";
  plot.y.maximum = 3;
  EXPECT_TRUE(with_class(parse_xml(line_plot_svg(plot)), "reference").empty()) << "beyond the axis";
}

TEST(LinePlotSvg, NamesOfCloseReferenceLinesStandApart) {
  LinePlot plot = simple_plot({0, 10}, {0, 100});
  plot.references = {{"c", 0.2}, {"a", 0}, {"b", 0.1}, {"d", 100}};
  const auto svg = parse_xml(line_plot_svg(plot));
  std::map<std::string, double> y;
  for (const XmlElement& name : with_class(svg, "reference-name")) y[name.text] = name.number("y");
  EXPECT_GE(y["a"] - y["b"], 14);
  EXPECT_GE(y["b"] - y["c"], 14);
  EXPECT_GT(y["c"], y["d"]);
  EXPECT_LE(y["a"], svg[0].number("height") - 20) << "still beside the plot";
}

TEST(LinePlotSvg, ColorsThatComeAgainAreDashed) {
  LinePlot plot;
  for (int i = 0; i < 10; ++i) plot.series.push_back({std::to_string(i), {0, 1}, {0, i + 1.0}});
  const auto lines = with_class(parse_xml(line_plot_svg(plot)), "line");
  ASSERT_EQ(lines.size(), 10U);
  EXPECT_TRUE(lines[1].has_class("s1"));
  EXPECT_FALSE(lines[1].has_class("dashed"));
  EXPECT_TRUE(lines[9].has_class("s1"));
  EXPECT_TRUE(lines[9].has_class("dashed"));
}

TEST(LinePlotSvg, LongSeriesAreThinnedButKeepTheirPeaks) {
  std::vector<double> x, y;
  for (int i = 0; i < 200000; ++i) {
    x.push_back(i);
    y.push_back(std::sin(i * 0.001) + (i == 123456 ? 5 : 0) - (i == 77777 ? 6 : 0));
  }
  const std::string text = line_plot_svg(simple_plot(x, y));
  EXPECT_LT(text.size(), 60000U);
  const auto svg = parse_xml(text);
  const AxisReader y_of(svg, "y-tick", "y", false), x_of(svg, "x-tick", "x", false);
  double low = 0, high = 0, last_x = 0;
  for (const PathPoint& point : points_of(with_class(svg, "line").at(0))) {
    low = std::min(low, y_of(point.y));
    high = std::max(high, y_of(point.y));
    EXPECT_GE(point.x, last_x);
    last_x = point.x;
  }
  EXPECT_NEAR(high, y[123456], 0.02);
  EXPECT_NEAR(low, y[77777], 0.02);
  EXPECT_NEAR(x_of(last_x), 199999, 10);
}

TEST(LinePlotSvg, DataBeyondFixedEndsAreCutOffByTheirArea) {
  LinePlot plot = simple_plot({0, 1, 2}, {1, 50, 2});
  plot.y.minimum = 0;
  plot.y.maximum = 4;
  const auto svg = parse_xml(line_plot_svg(plot));
  const auto area = std::find_if(svg.begin(), svg.end(), [](const XmlElement& element) {
    return element.name == "svg" && element.depth == 1;
  });
  ASSERT_NE(area, svg.end());
  EXPECT_EQ(area->get("overflow"), "hidden");
  EXPECT_EQ(area->get("viewBox"), area->get("x") + " " + area->get("y") + " " + area->get("width") +
                                      " " + area->get("height"))
      << "the same coordinates inside";
  EXPECT_EQ((area + 1)->name, "path") << "the line is inside";
  EXPECT_LT(points_of(*(area + 1)).at(1).y, area->number("y")) << "and reaches beyond the area";
}

TEST(LinePlotSvg, LooksAreChosenByTheViewer) {
  const std::string svg = line_plot_svg(simple_plot({0, 1}, {0, 1}));
  EXPECT_THAT(svg, HasSubstr("@media(prefers-color-scheme:dark)"));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, Not(HasSubstr(" id="))) << "identifiers would clash within a page";
  EXPECT_THAT(svg, Not(HasSubstr("href")));
}

TEST(LinePlotSvg, NothingLeavesThePicture) {
  LinePlot plot = simple_plot({0, 1}, {-123456, 123456});
  plot.y.label = "label";
  for (int i = 0; i < 30; ++i)
    plot.series.push_back({"a series with a name", {0, 1}, {i * 1.0, 0}});
  const auto svg = parse_xml(line_plot_svg(plot));
  const double width = svg[0].number("width"), height = svg[0].number("height");
  EXPECT_EQ(width, 640);
  for (const XmlElement& element : svg) {
    if (element.name != "text" || !element.get("transform").empty()) continue;
    EXPECT_GE(element.number("x"), 0) << element.text;
    EXPECT_LE(element.number("x"), width) << element.text;
    EXPECT_LE(element.number("y"), height) << element.text;
  }
}

TEST(LinePlotSvg, WrongInputsAreRefused) {
  LinePlot plot = simple_plot({0, 1}, {0});
  EXPECT_THAT(testing::message_of<InvalidRequest>([&] { line_plot_svg(plot); }),
              HasSubstr("\"student\" has 2 x and 1 y"));
  plot = simple_plot({0}, {0});
  plot.width_px = 50;
  EXPECT_THROW(line_plot_svg(plot), InvalidRequest);
}

TEST(Smoothed, IsTheMovingAverageWithoutItsStart) {
  for (const double value : smoothed({3, 3, 3}, 0.9)) {
    EXPECT_DOUBLE_EQ(value, 3) << "constants stay";
  }
  EXPECT_EQ(smoothed({1, 5}, 0), (std::vector<double>{1, 5}));
  const auto step = smoothed({0, 1, 1}, 0.5);
  EXPECT_DOUBLE_EQ(step[1], 2.0 / 3);
  EXPECT_DOUBLE_EQ(step[2], 6.0 / 7);
  const auto with_gap = smoothed({2, kNan, 2}, 0.5);
  EXPECT_EQ(with_gap[0], 2);
  EXPECT_TRUE(std::isnan(with_gap[1]));
  EXPECT_EQ(with_gap[2], 2);
}

}  // namespace
}  // namespace fourstep
