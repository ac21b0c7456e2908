#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "report/svg_plot.h"
#include "support/files.h"
#include "xml_elements.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::parse_xml;
using testing::with_class;
using testing::XmlElement;

BarPlot simple_plot() {
  BarPlot plot;
  plot.title = "FD";
  plot.groups = {"1 step", "4 steps"};
  plot.series = {{"student", {200, 50}}, {"teacher", {400, 100}}};
  return plot;
}

double bottom_of(const XmlElement& bar) { return bar.number("y") + bar.number("height"); }

TEST(BarPlotSvg, HeightsAreProportionalAndBarsStandOnZero) {
  const auto svg = parse_xml(bar_plot_svg(simple_plot()));
  const auto bars = with_class(svg, "bar");
  ASSERT_EQ(bars.size(), 4U);  // student 200, 50, teacher 400, 100
  EXPECT_NEAR(bars[2].number("height") / bars[0].number("height"), 2, 1e-3);
  EXPECT_NEAR(bars[0].number("height") / bars[1].number("height"), 4, 2e-3);
  for (const XmlElement& bar : bars) EXPECT_NEAR(bottom_of(bar), bottom_of(bars[0]), 0.011);
  EXPECT_LT(bars[0].number("x"), bars[2].number("x")) << "the bars of a group, side by side";
  EXPECT_LT(bars[2].number("x"), bars[1].number("x")) << "then the next group";
  EXPECT_TRUE(bars[0].has_class("b0"));
  EXPECT_TRUE(bars[3].has_class("b1"));
}

TEST(BarPlotSvg, ValuesAndNamesAreWritten) {
  const auto svg = parse_xml(bar_plot_svg(simple_plot()));
  std::vector<std::string> values;
  for (const XmlElement& text : with_class(svg, "value")) values.push_back(text.text);
  EXPECT_EQ(values, (std::vector<std::string>{"200", "50", "400", "100"}));
  EXPECT_EQ(with_class(svg, "x-tick").at(1).text, "4 steps");
  const auto bars = with_class(svg, "bar");
  EXPECT_LT(with_class(svg, "value").at(2).number("y"), bars[2].number("y")) << "above its bar";
}

TEST(BarPlotSvg, NegativeBarsHangBelowZero) {
  BarPlot plot = simple_plot();
  plot.series = {{"change", {-3, 6}}};
  const auto bars = with_class(parse_xml(bar_plot_svg(plot)), "bar");
  EXPECT_NEAR(bars[0].number("y"), bottom_of(bars[1]), 0.011);
  EXPECT_NEAR(bars[1].number("height") / bars[0].number("height"), 2, 1e-3);
}

TEST(BarPlotSvg, WhatIsNotFiniteHasNoBar) {
  BarPlot plot = simple_plot();
  plot.series[0].values = {std::nan(""), HUGE_VAL};
  const std::string text = bar_plot_svg(plot);
  EXPECT_EQ(with_class(parse_xml(text), "bar").size(), 2U);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_NO_THROW(parse_xml(bar_plot_svg(BarPlot{})));
}

TEST(BarPlotSvg, LogarithmicBarsGrowWithTheLogarithm) {
  BarPlot plot = simple_plot();
  plot.value.is_log = true;
  plot.value.minimum = 1;
  plot.series = {{"", {10, 1000}}};
  const auto bars = with_class(parse_xml(bar_plot_svg(plot)), "bar");
  EXPECT_NEAR(bars[1].number("height") / bars[0].number("height"), 3, 1e-3);
}

TEST(BarPlotSvg, LongNamesAreSlantedAndElided) {
  BarPlot plot = simple_plot();
  plot.groups = {std::string(40, 'a'), std::string(400, 'b')};
  const auto labels = with_class(parse_xml(bar_plot_svg(plot)), "x-tick");
  EXPECT_THAT(labels.at(0).get("transform"), HasSubstr("rotate(-30)"));
  EXPECT_LT(labels.at(1).text.size(), 100U);
  EXPECT_THAT(labels.at(1).text, HasSubstr("…"));
}

TEST(BarPlotSvg, WrongInputsAreRefused) {
  BarPlot plot = simple_plot();
  plot.series[1].values.pop_back();
  EXPECT_THAT(testing::message_of<InvalidRequest>([&] { bar_plot_svg(plot); }),
              HasSubstr("\"teacher\" has 1 values for 2 groups"));
}

}  // namespace
}  // namespace fourstep
