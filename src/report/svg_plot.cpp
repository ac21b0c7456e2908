#include "report/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "report/plot_frame.h"
#include "report/table.h"

namespace fourstep {

namespace {

/// Runs of points that are joined by a line.
using Runs = std::vector<std::vector<Point>>;

void check_plot(const LinePlot& plot) {
  if (!(plot.smoothing >= 0 && plot.smoothing < 1))
    throw InvalidRequest("plot \"{}\": a smoothing of {}, expected at least 0 and less than 1",
                         plot.title, plot.smoothing);
  for (const PlotSeries& series : plot.series) {
    if (series.x.size() != series.y.size())
      throw InvalidRequest("plot \"{}\": the series \"{}\" has {} x and {} y", plot.title,
                           series.name, series.x.size(), series.y.size());
  }
}

struct Scales {
  Scale x, y;
};

Scales make_scales(const LinePlot& plot) {
  DataRange x, y;
  for (const PlotSeries& series : plot.series) {
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!is_shown(plot.x, series.x[i]) || !is_shown(plot.y, series.y[i])) continue;
      x.add(series.x[i]);
      y.add(series.y[i]);
    }
  }
  for (const ReferenceLine& reference : plot.references) {
    if (is_shown(plot.y, reference.value)) y.add(reference.value);
  }
  return {make_scale(plot.x, x, 0), make_scale(plot.y, y, 0.05)};
}

/// The points of a series in pixels, parted at gaps.
Runs runs_of(const LinePlot& plot, const PlotSeries& series, const Scales& scales) {
  Runs runs(1);
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (is_shown(plot.x, series.x[i]) && is_shown(plot.y, series.y[i])) {
      runs.back().push_back({scales.x.px(series.x[i]), scales.y.px(series.y[i])});
    } else if (!runs.back().empty()) {
      runs.emplace_back();
    }
  }
  return runs;
}

/// Of neighbours in one column of pixels: the first, the lowest, the highest and the last, in their
/// order.
std::vector<Point> thinned(const std::vector<Point>& points) {
  std::vector<Point> kept;
  for (size_t begin = 0; begin < points.size();) {
    size_t end = begin, low = begin, high = begin;
    for (; end < points.size() && std::floor(points[end].x) == std::floor(points[begin].x); ++end) {
      if (points[end].y < points[low].y) low = end;
      if (points[end].y > points[high].y) high = end;
    }
    size_t chosen[] = {begin, std::min(low, high), std::max(low, high), end - 1};
    const auto* last = std::unique(std::begin(chosen), std::end(chosen));
    for (const size_t* one = chosen; one != last; ++one) kept.push_back(points[*one]);
    begin = end;
  }
  return kept;
}

std::string path_svg(const Runs& runs, const std::string& css_class) {
  std::string data;
  for (const std::vector<Point>& run : runs) {
    char command = 'M';
    for (const Point& point : thinned(run)) {
      data += fmt::format("{}{} {}", command, coordinate(point.x), coordinate(point.y));
      command = 'L';
    }
    if (run.size() == 1) data += "h0";  // with round ends a line without length is a dot
  }
  return data.empty() ? "" : fmt::format("<path class=\"{}\" d=\"{}\"/>\n", css_class, data);
}

std::string series_svg(const LinePlot& plot, const Scales& scales) {
  std::string raw, lines;  // raw ones below all others
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const std::string color = series_class('s', i);
    PlotSeries series = plot.series[i];
    if (plot.smoothing > 0) {
      raw += path_svg(runs_of(plot, series, scales), "raw " + color);
      series.y = smoothed(series.y, plot.smoothing);
    }
    lines += path_svg(runs_of(plot, series, scales), "line " + color);
  }
  return raw + lines;
}

std::string x_axis_svg(const LinePlot& plot, const PlotFrame& frame, const Scale& x) {
  std::string out;
  const int max_ticks = static_cast<int>((frame.right - frame.left) / 75);
  for (const Tick& tick : make_ticks(x, std::max(2, max_ticks))) {
    const double at = x.px(tick.value);
    out += svg_line("grid", at, frame.top, at, frame.bottom);
    out += svg_text(at, frame.bottom + 18, tick.text, R"(class="x-tick" text-anchor="middle")");
  }
  if (!plot.x.label.empty())
    out += svg_text((frame.left + frame.right) / 2, frame.bottom + 39, plot.x.label,
                    R"(class="label" text-anchor="middle")");
  return out + svg_line("axis", frame.left, frame.bottom, frame.right, frame.bottom);
}

FrameSpec frame_spec(const LinePlot& plot) {
  FrameSpec spec;
  spec.title = plot.title;
  spec.y_label = plot.y.label;
  for (const PlotSeries& series : plot.series) spec.legend.push_back(series.name);
  spec.width = static_cast<double>(plot.width_px);
  spec.height = static_cast<double>(plot.height_px);
  spec.references = plot.references;
  spec.bottom_space = plot.x.label.empty() ? 30 : 50;
  return spec;
}

}  // namespace

std::string line_plot_svg(const LinePlot& plot) {
  check_plot(plot);
  Scales scales = make_scales(plot);
  FrameSpec spec = frame_spec(plot);
  const int max_ticks = std::max(3, static_cast<int>(spec.height / 40));
  const std::vector<Tick> y_ticks = make_ticks(scales.y, max_ticks);
  spec.left_space = widest_tick_px(y_ticks);
  const PlotFrame frame = make_frame(spec);
  scales.x.low_px = frame.left;
  scales.x.high_px = frame.right;
  scales.y.low_px = frame.bottom;
  scales.y.high_px = frame.top;
  std::string out = frame_head(spec, frame);
  out += y_axis_svg(frame, scales.y, y_ticks);
  out += x_axis_svg(plot, frame, scales.x);
  const std::string data = series_svg(plot, scales);
  if (data.empty())
    out += svg_text((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, "no data",
                    R"(text-anchor="middle")");
  out += open_clipped_area(frame) + data + "</svg>\n";
  return out + references_svg(spec, frame, scales.y) + "</svg>\n";
}

std::vector<double> smoothed(const std::vector<double>& y, double weight) {
  std::vector<double> out;
  double sum = 0, share = 0;  // share: the weight that values have got so far, 1 - weight^n
  for (const double value : y) {
    if (!std::isfinite(value)) {
      out.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    sum = weight * sum + (1 - weight) * value;
    share = weight * share + (1 - weight);
    out.push_back(sum / share);
  }
  return out;
}

}  // namespace fourstep
