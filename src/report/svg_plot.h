#pragma once
// Line and bar plots as SVG text: no script, nothing loaded, light or dark as the viewer prefers.
// The text is a file of its own, or stands inside an HTML page.

#include <cstdint>
#include <string>
#include <vector>

#include "report/plot_scale.h"

namespace fourstep {

struct PlotSeries {
  std::string name = {};  ///< in the legend; series without name are not in it
  std::vector<double> x;
  /// As many as x; NaN, infinite and (on logarithmic axes) values <= 0 are gaps.
  std::vector<double> y;
};

/// A horizontal line across the plot, its name written at its right end.
struct ReferenceLine {
  std::string name = {};
  double value = 0;
};

struct LinePlot {
  std::string title = {};
  PlotAxis x = {}, y = {};
  std::vector<PlotSeries> series;
  std::vector<ReferenceLine> references = {};  ///< the y axis reaches them
  double smoothing = 0;  ///< [0,1): above 0 the raw lines are faint, those of smoothed() over them
  int64_t width_px = 640, height_px = 360;  ///< the height without the legend's further rows
};

struct BarSeries {
  std::string name = {};
  std::vector<double> values;  ///< one per group; NaN and infinite ones have no bar
};

struct BarPlot {
  std::string title = {};
  PlotAxis value = {};
  std::vector<std::string> groups;
  std::vector<BarSeries> series;
  std::vector<ReferenceLine> references = {};
  int64_t width_px = 640, height_px = 360;
};

/// The plot as one <svg> element. Long series are thinned to what the width can show (first, last,
/// smallest and largest point of each column of pixels), so that the text stays small.
/// Throws InvalidRequest when a series has x and y of different length, sizes or smoothing are out
/// of range, or an axis is (see make_scale).
std::string line_plot_svg(const LinePlot& plot);

/// One cluster of bars per group, each bar with its value. Bars begin at 0, on a logarithmic axis
/// at its end.
/// Throws InvalidRequest when a series has not one value per group, or as line_plot_svg().
std::string bar_plot_svg(const BarPlot& plot);

/// Exponential moving average without the pull towards 0 at its start: after n finite values
/// s = weight * s + (1 - weight) * y, shown is s / (1 - weight^n). NaN and infinite values stay NaN
/// and are passed over. Source: the smoothing of TensorBoard's scalar plots.
std::vector<double> smoothed(const std::vector<double>& y, double weight);

}  // namespace fourstep
