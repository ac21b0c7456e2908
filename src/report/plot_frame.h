#pragma once
// What line and bar plots share: the place of everything, style, title, legend, value axis,
// reference lines.

#include <string>
#include <vector>

#include "report/svg_plot.h"

namespace fourstep {

/// In pixels from the upper left corner.
struct Point {
  double x = 0, y = 0;
};

constexpr double kPlotFontPx = 13;  ///< ticks and legend

/// What a plot needs around its data.
struct FrameSpec {
  std::string title;
  std::string y_label;
  std::vector<std::string> legend;        ///< one name per series; empty ones are left out
  bool has_bars = false;                  ///< swatches instead of strokes in the legend
  std::vector<ReferenceLine> references;  ///< their names take room at the right
  double width = 0, height = 0;
  double left_space = 0;    ///< of the widest tick text of the y axis
  double bottom_space = 0;  ///< of all that stands below the x axis
};

struct PlotFrame {
  double width = 0, height = 0;                     ///< of the whole picture
  double left = 0, top = 0, right = 0, bottom = 0;  ///< of the rectangle of the data
};

/// Throws InvalidRequest when the size is not 200..10000 px a side.
PlotFrame make_frame(const FrameSpec& spec);

/// The width of the widest text beside a tick.
double widest_tick_px(const std::vector<Tick>& ticks);

/// "s3" or "b3": the class that colours the stroke or the fill of series 3. Strokes whose colour
/// was used before are dashed.
std::string series_class(char kind, size_t series);

/// <text class="..." x="" y="" ...>escaped</text>; `more` holds further attributes.
std::string svg_text(double x, double y, const std::string& text, const std::string& more);

/// svg_text() turned by `degrees` (clockwise) around its anchor.
std::string turned_text(const Point& anchor, double degrees, const std::string& text,
                        const std::string& more);

std::string svg_line(const std::string& css_class, double x1, double y1, double x2, double y2);

/// The start of the <svg> element: style, background, title, label of the y axis, legend.
std::string frame_head(const FrameSpec& spec, const PlotFrame& frame);

/// Grid lines and tick texts of the value axis, which must map to frame.bottom..frame.top.
std::string y_axis_svg(const PlotFrame& frame, const Scale& y, const std::vector<Tick>& ticks);

/// Dashed lines with their names right of them, for those inside the axis.
std::string references_svg(const FrameSpec& spec, const PlotFrame& frame, const Scale& y);

/// The opening tag of an area with the frame's coordinates that cuts off what lies outside (</svg>
/// ends it). A nested element does this without an identifier, which could clash with other plots
/// of a page.
std::string open_clipped_area(const PlotFrame& frame);

}  // namespace fourstep
