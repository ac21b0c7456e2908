#include "report/plot_frame.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "report/table.h"
#include "report/text_drawing.h"

namespace fourstep {

namespace {

constexpr size_t kNumColors = 8;

// Colours that stay apart for colour-blind readers: Okabe and Ito 2008, without yellow, which white
// swallows; lighter twins on dark. Plain rules and no variables: simple SVG viewers do not know
// var().
constexpr const char* kLightColors[kNumColors] = {"#0072b2", "#d55e00", "#009e73", "#b9528f",
                                                  "#c98a00", "#3a9bd6", "#6a51a3", "#666666"};
constexpr const char* kDarkColors[kNumColors] = {"#5db0e8", "#ff8b3d", "#3fcf9f", "#e99ac6",
                                                 "#f0b93a", "#a5d8fa", "#b39ddb", "#b5b5b5"};

constexpr const char* kLightStyle =
    ".fourstep-plot .background{fill:#fff}"
    ".fourstep-plot text{fill:#333;font:13px system-ui,-apple-system,'Segoe UI','DejaVu "
    "Sans',sans-serif}"
    ".fourstep-plot .title{fill:#111;font-size:16px;font-weight:600}"
    ".fourstep-plot .grid{stroke:#e4e6ea;stroke-width:1}"
    ".fourstep-plot .axis{stroke:#8a9099;stroke-width:1}"
    ".fourstep-plot .reference{stroke:#555;stroke-width:1.25;stroke-dasharray:5 4}"
    ".fourstep-plot .reference-name{fill:#555}"
    ".fourstep-plot .key{stroke-width:4;stroke-linecap:round}"
    ".fourstep-plot .dashed{stroke-dasharray:6 4}"
    ".fourstep-plot .value{font-size:11px}"
    ".fourstep-plot .line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}"
    ".fourstep-plot .raw{fill:none;stroke-width:1;stroke-linejoin:round;stroke-linecap:round;"
    "stroke-opacity:.35}";

constexpr const char* kDarkStyle =
    ".fourstep-plot .background{fill:#16181d}"
    ".fourstep-plot text{fill:#c9ccd2}"
    ".fourstep-plot .title{fill:#f0f0f0}"
    ".fourstep-plot .grid{stroke:#2c3038}"
    ".fourstep-plot .axis{stroke:#6c737e}"
    ".fourstep-plot .reference{stroke:#b0b4bb}"
    ".fourstep-plot .reference-name{fill:#b0b4bb}";

std::string color_rules(const char* const* colors) {
  std::string rules;
  for (size_t i = 0; i < kNumColors; ++i) {
    rules += fmt::format(".fourstep-plot .s{0}{{stroke:{1}}}.fourstep-plot .b{0}{{fill:{1}}}", i,
                         colors[i]);
  }
  return rules;
}

std::string style() {
  return fmt::format("<style>{}{}@media(prefers-color-scheme:dark){{{}{}}}</style>\n", kLightStyle,
                     color_rules(kLightColors), kDarkStyle, color_rules(kDarkColors));
}

constexpr double kRowPx = 20;  // of the legend
constexpr double kSwatchPx = 18;

std::string elided(const std::string& text, double width, double font_px) {
  return elide_text(text, width + 0.5,
                    [font_px](std::string_view part) { return estimated_width_px(part, font_px); });
}

struct LegendItem {
  size_t series;
  std::string name;
  double x;
  int row;
};

/// The items from left to right, a new row where the width is used up.
std::vector<LegendItem> place_legend(const FrameSpec& spec) {
  std::vector<LegendItem> items;
  double x = 16;
  int row = 0;
  for (size_t i = 0; i < spec.legend.size(); ++i) {
    if (spec.legend[i].empty()) continue;
    const std::string name = elided(spec.legend[i], spec.width - kSwatchPx - 40, kPlotFontPx);
    const double width = kSwatchPx + 6 + estimated_width_px(name, kPlotFontPx) + 16;
    if (x > 16 && x + width > spec.width) {
      x = 16;
      ++row;
    }
    items.push_back({i, name, x, row});
    x += width;
  }
  return items;
}

double title_height(const FrameSpec& spec) { return spec.title.empty() ? 10 : 34; }

std::string legend_svg(const FrameSpec& spec) {
  std::string out;
  for (const LegendItem& item : place_legend(spec)) {
    const double middle = title_height(spec) + (item.row + 0.5) * kRowPx;
    if (spec.has_bars) {
      out += fmt::format(R"(<rect class="{}" x="{}" y="{}" width="{}" height="12" rx="2"/>)",
                         series_class('b', item.series), coordinate(item.x), coordinate(middle - 6),
                         kSwatchPx);
    } else {
      out += svg_line("key " + series_class('s', item.series), item.x, middle, item.x + kSwatchPx,
                      middle);
    }
    out += svg_text(item.x + kSwatchPx + 6, middle + 4.5, item.name, "");
  }
  return out;
}

/// The width for the names of reference lines: what they need, up to a third of the picture.
double reference_space(const FrameSpec& spec) {
  double needed = 0;
  for (const ReferenceLine& reference : spec.references) {
    needed = std::max(needed, estimated_width_px(reference.name, kPlotFontPx));
  }
  return std::min(needed, spec.width / 3);
}

struct Reference {
  std::string name;
  double middle;  ///< of the height of its name, in pixels
};

/// Moves names apart where their lines are close: downwards, and back up where they would leave the
/// frame.
void spread(std::vector<Reference>& references, double bottom) {
  constexpr double kLinePx = 15;
  std::sort(references.begin(), references.end(),
            [](const Reference& a, const Reference& b) { return a.middle < b.middle; });
  for (size_t i = 1; i < references.size(); ++i) {
    references[i].middle = std::max(references[i].middle, references[i - 1].middle + kLinePx);
  }
  double limit = bottom;
  for (size_t i = references.size(); i > 0; --i) {
    references[i - 1].middle = std::min(references[i - 1].middle, limit);
    limit = references[i - 1].middle - kLinePx;
  }
}

}  // namespace

PlotFrame make_frame(const FrameSpec& spec) {
  const bool is_valid =
      std::min(spec.width, spec.height) >= 200 && std::max(spec.width, spec.height) <= 10000;
  if (!is_valid)
    throw InvalidRequest("plot \"{}\": a size of {}x{} px, expected 200 to 10000 a side",
                         spec.title, spec.width, spec.height);
  const std::vector<LegendItem> legend = place_legend(spec);
  const double further_rows = legend.empty() ? 0 : legend.back().row * kRowPx;
  PlotFrame frame;
  frame.width = spec.width;
  frame.height = spec.height + further_rows;
  frame.left = (spec.y_label.empty() ? 10 : 30) + spec.left_space + 6;
  const double names = reference_space(spec);
  frame.right = spec.width - (names > 0 ? names + 14 : 18);
  frame.top = title_height(spec) + (legend.empty() ? 0 : kRowPx + further_rows) + 8;
  frame.bottom = frame.height - spec.bottom_space;
  return frame;
}

double widest_tick_px(const std::vector<Tick>& ticks) {
  double widest = 0;
  for (const Tick& tick : ticks)
    widest = std::max(widest, estimated_width_px(tick.text, kPlotFontPx));
  return widest;
}

std::string series_class(char kind, size_t series) {
  const bool is_dashed = kind == 's' && series / kNumColors % 2 == 1;
  return fmt::format("{}{}{}", kind, series % kNumColors, is_dashed ? " dashed" : "");
}

std::string svg_text(double x, double y, const std::string& text, const std::string& more) {
  return fmt::format("<text x=\"{}\" y=\"{}\"{}{}>{}</text>\n", coordinate(x), coordinate(y),
                     more.empty() ? "" : " ", more, escape_markup(text));
}

std::string turned_text(const Point& anchor, double degrees, const std::string& text,
                        const std::string& more) {
  const std::string transform = fmt::format("transform=\"translate({} {}) rotate({})\" ",
                                            coordinate(anchor.x), coordinate(anchor.y), degrees);
  return svg_text(0, 0, text, transform + more);
}

std::string svg_line(const std::string& css_class, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n", css_class,
                     coordinate(x1), coordinate(y1), coordinate(x2), coordinate(y2));
}

std::string frame_head(const FrameSpec& spec, const PlotFrame& frame) {
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fourstep-plot\" width=\"{0}\" "
      "height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"{2}\">\n",
      coordinate(frame.width), coordinate(frame.height), escape_markup(spec.title));
  out += style();
  out += fmt::format("<rect class=\"background\" width=\"{}\" height=\"{}\"/>\n",
                     coordinate(frame.width), coordinate(frame.height));
  if (!spec.title.empty())
    out += svg_text(16, 24, elided(spec.title, spec.width - 24, 16), R"(class="title")");
  out += legend_svg(spec);
  if (!spec.y_label.empty()) {
    const double middle = (frame.top + frame.bottom) / 2;
    out += turned_text({20, middle}, -90, spec.y_label, R"(class="label" text-anchor="middle")");
  }
  return out;
}

std::string y_axis_svg(const PlotFrame& frame, const Scale& y, const std::vector<Tick>& ticks) {
  std::string out;
  for (const Tick& tick : ticks) {
    const double at = y.px(tick.value);
    out += svg_line("grid", frame.left, at, frame.right, at);
    out += svg_text(frame.left - 6, at + 4.5, tick.text, R"(class="y-tick" text-anchor="end")");
  }
  return out + svg_line("axis", frame.left, frame.top, frame.left, frame.bottom);
}

std::string references_svg(const FrameSpec& spec, const PlotFrame& frame, const Scale& y) {
  std::vector<Reference> shown;
  std::string out;
  for (const ReferenceLine& reference : spec.references) {
    const double at = y.px(reference.value);
    if (!(at >= frame.top - 0.01 && at <= frame.bottom + 0.01)) continue;
    out += svg_line("reference", frame.left, at, frame.right, at);
    shown.push_back({reference.name, at});
  }
  spread(shown, frame.bottom);
  for (const Reference& reference : shown) {
    out += svg_text(frame.right + 6, reference.middle + 4.5,
                    elided(reference.name, reference_space(spec), kPlotFontPx),
                    R"(class="reference-name")");
  }
  return out;
}

std::string open_clipped_area(const PlotFrame& frame) {
  const std::string x = coordinate(frame.left), y = coordinate(frame.top),
                    width = coordinate(frame.right - frame.left),
                    height = coordinate(frame.bottom - frame.top);
  return fmt::format(
      "<svg x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" viewBox=\"{0} {1} {2} {3}\" "
      "overflow=\"hidden\">\n",
      x, y, width, height);
}

}  // namespace fourstep
