// Bar plots of svg_plot.h.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "report/plot_frame.h"
#include "report/svg_plot.h"
#include "report/table.h"
#include "report/text_drawing.h"

namespace fourstep {

namespace {

constexpr double kValueFontPx = 11;

/// Three digits are enough above a bar.
std::string value_text(double value) {
  if (std::abs(value) >= 1000 && std::abs(value) < 1e7) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

/// The places across the plot: one slot per group, in it one bar per series between two gaps.
struct Slots {
  double left, slot_width, bar_width;

  double bar_left(size_t group, size_t series) const {
    return left + slot_width * (static_cast<double>(group) + 0.12) +
           bar_width * static_cast<double>(series);
  }
  double middle(size_t group) const {
    return left + slot_width * (static_cast<double>(group) + 0.5);
  }
};

Slots make_slots(const BarPlot& plot, const PlotFrame& frame) {
  const double slot =
      (frame.right - frame.left) / static_cast<double>(std::max<size_t>(1, plot.groups.size()));
  return {frame.left, slot,
          0.76 * slot / static_cast<double>(std::max<size_t>(1, plot.series.size()))};
}

void check_plot(const BarPlot& plot) {
  for (const BarSeries& series : plot.series) {
    if (series.values.size() != plot.groups.size())
      throw InvalidRequest("plot \"{}\": the series \"{}\" has {} values for {} groups", plot.title,
                           series.name, series.values.size(), plot.groups.size());
  }
}

/// padding: the share of the length that the values need above the bars.
Scale make_value_scale(const BarPlot& plot, double padding) {
  DataRange range;
  if (!plot.value.is_log) range.add(0);
  for (const BarSeries& series : plot.series) {
    for (const double value : series.values) {
      if (is_shown(plot.value, value)) range.add(value);
    }
  }
  for (const ReferenceLine& reference : plot.references) {
    if (is_shown(plot.value, reference.value)) range.add(reference.value);
  }
  const PlotAxis& axis = plot.value;
  Scale scale = make_scale(axis, range, padding);
  // Bars that all point one way stand on the end of the axis.
  if (!axis.is_log && !axis.minimum && range.low >= 0) scale.low = 0;
  if (!axis.is_log && !axis.maximum && range.high <= 0 && range.low < 0) scale.high = 0;
  return scale;
}

/// The names of the groups: level where they fit into their slots, else slanted.
struct GroupLabels {
  bool is_slanted = false;
  double space = 32;  ///< needed below the axis
};

GroupLabels plan_labels(const BarPlot& plot, const Slots& slots) {
  double widest = 0;
  for (const std::string& group : plot.groups) {
    widest = std::max(widest, estimated_width_px(group, kPlotFontPx));
  }
  if (widest <= slots.slot_width) return {};
  return {true, 26 + 0.5 * std::min(widest, 0.6 * static_cast<double>(plot.height_px))};
}

std::string group_labels_svg(const BarPlot& plot, const PlotFrame& frame, const Slots& slots,
                             const GroupLabels& labels) {
  std::string out;
  const auto width_of = [](std::string_view text) { return estimated_width_px(text, kPlotFontPx); };
  for (size_t i = 0; i < plot.groups.size(); ++i) {
    const double x = slots.middle(i), y = frame.bottom + 18;
    if (!labels.is_slanted) {
      out += svg_text(x, y, plot.groups[i], R"(class="x-tick" text-anchor="middle")");
      continue;
    }
    // 30 degrees: the text ends below its slot and reaches half its length down.
    const double room = std::min(2 * (labels.space - 26), (x - 4) / 0.87);
    out +=
        turned_text({x + 4, y - 4}, -30, elide_text(plot.groups[i], std::max(20.0, room), width_of),
                    R"(class="x-tick" text-anchor="end")");
  }
  return out;
}

/// Whether a value can stand across the end of its bar; else it is turned.
bool fits_level(const std::string& text, double bar_width) {
  return estimated_width_px(text, kValueFontPx) <= bar_width + 4;
}

struct Bar {
  double x, width;
  double base, end;  ///< pixels from top; the end carries the value
};

std::string bar_svg(const Bar& bar, const std::string& color, double value) {
  const double top = std::min(bar.base, bar.end), height = std::abs(bar.base - bar.end);
  std::string out =
      fmt::format("<rect class=\"bar {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", color,
                  coordinate(bar.x), coordinate(top), coordinate(std::max(0.5, bar.width - 1)),
                  coordinate(height));
  const std::string text = value_text(value);
  const bool is_down = bar.end > bar.base;
  const double middle = bar.x + bar.width / 2;
  if (fits_level(text, bar.width)) {
    out += svg_text(middle, is_down ? bar.end + 12 : bar.end - 4, text,
                    R"(class="value" text-anchor="middle")");
  } else if (bar.width >= kValueFontPx) {
    out +=
        turned_text({middle + 4, is_down ? bar.end + 4 : bar.end - 4}, -90, text,
                    fmt::format("class=\"value\" text-anchor=\"{}\"", is_down ? "end" : "start"));
  }
  return out;
}

/// base: where bars begin, in pixels.
std::string bars_svg(const BarPlot& plot, const Slots& slots, const Scale& y, double base) {
  std::string out;
  for (size_t s = 0; s < plot.series.size(); ++s) {
    for (size_t g = 0; g < plot.groups.size(); ++g) {
      const double value = plot.series[s].values[g];
      if (!is_shown(plot.value, value)) continue;
      const double end = y.px(std::clamp(value, y.low, y.high));
      out +=
          bar_svg({slots.bar_left(g, s), slots.bar_width, base, end}, series_class('b', s), value);
    }
  }
  return out;
}

struct BarLayout {
  Scale y;
  std::vector<Tick> ticks;
  GroupLabels labels;
  FrameSpec spec;
  PlotFrame frame;
  Slots slots;
};

FrameSpec frame_spec(const BarPlot& plot) {
  FrameSpec spec;
  spec.title = plot.title;
  spec.y_label = plot.value.label;
  spec.has_bars = true;
  spec.references = plot.references;
  for (const BarSeries& series : plot.series) spec.legend.push_back(series.name);
  spec.width = static_cast<double>(plot.width_px);
  spec.height = static_cast<double>(plot.height_px);
  return spec;
}

BarLayout make_layout(const BarPlot& plot, double padding, const GroupLabels& labels) {
  BarLayout layout{make_value_scale(plot, padding), {}, labels, frame_spec(plot), {}, {}};
  const double height =
      static_cast<double>(plot.height_px) - labels.space - 80;  // about the frame's
  layout.ticks = make_ticks(layout.y, std::max(3, static_cast<int>(height / 30)));
  layout.spec.left_space = widest_tick_px(layout.ticks);
  layout.spec.bottom_space = labels.space;
  layout.frame = make_frame(layout.spec);
  layout.y.low_px = layout.frame.bottom;
  layout.y.high_px = layout.frame.top;
  layout.slots = make_slots(plot, layout.frame);
  return layout;
}

/// The room that values need beyond the ends of their bars, in pixels.
double value_space(const BarPlot& plot, const Slots& slots) {
  double space = kValueFontPx + 5;
  for (const BarSeries& series : plot.series) {
    for (const double value : series.values) {
      const std::string text = value_text(value);
      if (is_shown(plot.value, value) && !fits_level(text, slots.bar_width))
        space = std::max(space, estimated_width_px(text, kValueFontPx) + 6);
    }
  }
  return space;
}

/// How wide bars are decides how names and values are written, and these how much room the bars
/// get: so the layout is made with guesses first.
BarLayout make_layout(const BarPlot& plot) {
  const Slots slots = make_layout(plot, 0.1, {}).slots;
  const GroupLabels labels = plan_labels(plot, slots);
  const PlotFrame frame = make_layout(plot, 0.1, labels).frame;
  const double space = value_space(plot, slots),
               bars = std::max(space, frame.bottom - frame.top - 2 * space);
  return make_layout(plot, space / bars, labels);
}

}  // namespace

std::string bar_plot_svg(const BarPlot& plot) {
  check_plot(plot);
  const BarLayout layout = make_layout(plot);
  const PlotFrame& frame = layout.frame;
  const Scale& y = layout.y;
  const double base = y.px(std::clamp(0.0, y.low, y.high));
  std::string out = frame_head(layout.spec, frame) + y_axis_svg(frame, y, layout.ticks);
  out += bars_svg(plot, layout.slots, y, base);
  out += svg_line("axis", frame.left, base, frame.right, base);
  out += group_labels_svg(plot, frame, layout.slots, layout.labels);
  return out + references_svg(layout.spec, frame, y) + "</svg>\n";
}

}  // namespace fourstep
