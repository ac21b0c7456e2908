#include "report/contact_sheet.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "report/text_drawing.h"

namespace fourstep {

namespace {

using Lines = std::vector<std::string>;

struct Palette {
  Color background, text, faint;
};

constexpr Palette kLight = {{255, 255, 255}, {17, 17, 17}, {85, 85, 85}};
constexpr Palette kDark = {{22, 24, 29}, {236, 236, 236}, {170, 174, 182}};

bool has_text(const SheetSpec& spec) {
  return !spec.title.empty() || !spec.column_labels.empty() || !spec.row_labels.empty() ||
         std::any_of(spec.cells.begin(), spec.cells.end(),
                     [](const SheetCell& cell) { return !cell.caption.empty(); });
}

/// Throws unless `labels` is empty or has one entry for each of the `expected` rows or columns.
void check_labels(const Lines& labels, int64_t expected, const char* what) {
  if (!labels.empty() && std::ssize(labels) != expected)
    throw InvalidRequest("contact_sheet: {} {} labels for {} {}s; give one each or none",
                         labels.size(), what, expected, what);
}

/// [H,W] that all pictures share.
Shape check_cells(const SheetSpec& spec) {
  Shape size;
  for (size_t i = 0; i < spec.cells.size(); ++i) {
    const Tensor& pixels = spec.cells[i].pixels;
    if (!pixels.defined()) continue;
    const bool is_picture = pixels.dim() == 3 && pixels.size(2) == 3 && pixels.is_cpu() &&
                            pixels.scalar_type() == torch::kUInt8 && pixels.numel() > 0;
    if (!is_picture)
      throw InvalidRequest("contact_sheet: picture {} is no uint8 [H,W,3] tensor on the CPU", i);
    const Shape found = {pixels.size(0), pixels.size(1)};
    if (size.empty()) size = found;
    if (found != size)
      throw InvalidRequest("contact_sheet: picture {} is {}x{} px, those before it {}x{}", i,
                           found[1], found[0], size[1], size[0]);
  }
  if (size.empty()) throw InvalidRequest("contact_sheet: there is no picture to show");
  return size;
}

/// The fonts of one sheet; absent where there is no text, or the build cannot draw any.
struct Fonts {
  std::optional<Font> label, title;
};

Fonts load_fonts(const SheetSpec& spec, int64_t cell_width) {
  if (!has_text(spec) || !can_draw_text()) return {};
  const double automatic = std::clamp(cell_width / 18.0, 12.0, 40.0);
  const double size = spec.text_px > 0 ? spec.text_px : std::round(automatic);
  return {Font(spec.font_path, size), Font(spec.font_path, std::round(1.5 * size))};
}

Lines wrap(const std::optional<Font>& font, const std::string& text, int64_t width,
           int64_t max_lines) {
  if (!font || text.empty()) return {};
  return wrap_text(text, static_cast<double>(width), max_lines,
                   [&](std::string_view part) { return font->width_px(part); });
}

int64_t height_of(const std::optional<Font>& font, size_t num_lines) {
  return num_lines == 0 ? 0 : static_cast<int64_t>(num_lines) * font->line_height_px();
}

int64_t width_of(const std::optional<Font>& font, const std::string& text) {
  return font ? static_cast<int64_t>(std::ceil(font->width_px(text))) : 0;
}

/// Where everything stands, in pixels.
struct Layout {
  int64_t margin = 0, gap = 0;
  int64_t cell_height = 0, cell_width = 0;
  Lines title;
  std::vector<Lines> column_labels, row_labels, captions;
  std::vector<int64_t> x;    ///< left side of each column
  std::vector<int64_t> y;    ///< top of each row
  int64_t label_bottom = 0;  ///< where the column labels end
  int64_t height = 0, width = 0;
};

int64_t num_rows(const SheetSpec& spec) {
  return (std::ssize(spec.cells) + spec.num_columns - 1) / spec.num_columns;
}

/// The width that row labels get: what they need, up to about a cell.
int64_t row_label_width(const SheetSpec& spec, const Fonts& fonts, int64_t cell_width) {
  int64_t needed = 0;
  for (const std::string& label : spec.row_labels) {
    needed = std::max(needed, width_of(fonts.label, label));
  }
  const int64_t shortest = fonts.label ? 8 * fonts.label->line_height_px() : 0;
  return std::min(needed, std::max(cell_width * 3 / 4, shortest));
}

void place_columns(const SheetSpec& spec, const Fonts& fonts, Layout& layout) {
  const int64_t label_width = row_label_width(spec, fonts, layout.cell_width);
  const int64_t first = layout.margin + (label_width > 0 ? label_width + layout.gap * 2 : 0);
  for (int64_t column = 0; column < spec.num_columns; ++column) {
    layout.x.push_back(first + column * (layout.cell_width + layout.gap));
  }
  layout.width = layout.x.back() + layout.cell_width + layout.margin;
  if (!fonts.label) return;
  for (const std::string& label : spec.row_labels) {
    const int64_t max_lines =
        std::max<int64_t>(1, layout.cell_height / fonts.label->line_height_px());
    layout.row_labels.push_back(wrap(fonts.label, label, label_width, max_lines));
  }
}

/// The height of the caption area below row `row`.
int64_t caption_height(const SheetSpec& spec, const Fonts& fonts, const Layout& layout,
                       int64_t row) {
  size_t most = 0;
  for (int64_t column = 0; column < spec.num_columns; ++column) {
    const size_t cell = static_cast<size_t>(row * spec.num_columns + column);
    if (cell < layout.captions.size()) most = std::max(most, layout.captions[cell].size());
  }
  return most == 0 ? 0 : height_of(fonts.label, most) + layout.gap;
}

void place_rows(const SheetSpec& spec, const Fonts& fonts, Layout& layout) {
  layout.title = wrap(fonts.title, spec.title, layout.width - 2 * layout.margin, 2);
  size_t most = 0;
  for (const std::string& label : spec.column_labels) {
    layout.column_labels.push_back(wrap(fonts.label, label, layout.cell_width, 3));
    most = std::max(most, layout.column_labels.back().size());
  }
  for (const SheetCell& cell : spec.cells) {
    layout.captions.push_back(
        wrap(fonts.label, cell.caption, layout.cell_width, spec.max_caption_lines));
  }
  int64_t y = layout.margin;
  if (!layout.title.empty()) y += height_of(fonts.title, layout.title.size()) + layout.margin / 2;
  layout.label_bottom = y + height_of(fonts.label, most);
  if (most > 0) y = layout.label_bottom + layout.gap / 2;
  for (int64_t row = 0; row < num_rows(spec); ++row) {
    layout.y.push_back(y);
    y += layout.cell_height + caption_height(spec, fonts, layout, row) + layout.gap;
  }
  layout.height = y - layout.gap + layout.margin;
}

Layout make_layout(const SheetSpec& spec, const Fonts& fonts, const Shape& size) {
  Layout layout;
  layout.cell_height = size[0];
  layout.cell_width = size[1];
  layout.gap = std::clamp<int64_t>(size[1] / 20, 6, 20);
  layout.margin = 2 * layout.gap;
  place_columns(spec, fonts, layout);
  place_rows(spec, fonts, layout);
  if (std::max(layout.width, layout.height) > kMaxImageSidePx)
    throw InvalidRequest(
        "contact_sheet: {} columns and {} rows of {}x{} px make a sheet of {}x{} px, more than {} "
        "a side; show fewer or smaller pictures",
        spec.num_columns, layout.y.size(), size[1], size[0], layout.width, layout.height,
        kMaxImageSidePx);
  return layout;
}

/// The upper left corner of a block of text, and its colour.
struct TextBlock {
  int64_t x, top;
  Color color;
};

void draw_lines(const Tensor& sheet, const Font& font, const Lines& lines, const TextBlock& block) {
  int64_t baseline = block.top + font.ascent_px();
  for (const std::string& line : lines) {
    font.draw(sheet, line, {block.x, baseline, block.color});
    baseline += font.line_height_px();
  }
}

/// Centred over their columns, resting on the pictures.
void draw_column_labels(const Tensor& sheet, const Layout& layout, const Fonts& fonts,
                        Color color) {
  for (size_t column = 0; column < layout.column_labels.size(); ++column) {
    const Lines& lines = layout.column_labels[column];
    int64_t top = layout.label_bottom - height_of(fonts.label, lines.size());
    for (const std::string& line : lines) {
      const int64_t indent = (layout.cell_width - width_of(fonts.label, line)) / 2;
      draw_lines(sheet, *fonts.label, {line}, {layout.x[column] + indent, top, color});
      top += fonts.label->line_height_px();
    }
  }
}

/// At half the height of their rows.
void draw_row_labels(const Tensor& sheet, const Layout& layout, const Fonts& fonts, Color color) {
  for (size_t row = 0; row < layout.row_labels.size(); ++row) {
    const Lines& lines = layout.row_labels[row];
    const int64_t free_height = layout.cell_height - height_of(fonts.label, lines.size());
    draw_lines(sheet, *fonts.label, lines,
               {layout.margin, layout.y[row] + std::max<int64_t>(0, free_height / 2), color});
  }
}

void draw_captions(const Tensor& sheet, const Layout& layout, const Fonts& fonts, Color color) {
  const size_t num_columns = layout.x.size();
  for (size_t i = 0; i < layout.captions.size(); ++i) {
    const int64_t top = layout.y[i / num_columns] + layout.cell_height + layout.gap / 2;
    draw_lines(sheet, *fonts.label, layout.captions[i], {layout.x[i % num_columns], top, color});
  }
}

void draw_pictures(const Tensor& sheet, const Layout& layout, const std::vector<SheetCell>& cells) {
  const size_t num_columns = layout.x.size();
  for (size_t i = 0; i < cells.size(); ++i) {
    if (!cells[i].pixels.defined()) continue;
    sheet.narrow(0, layout.y[i / num_columns], layout.cell_height)
        .narrow(1, layout.x[i % num_columns], layout.cell_width)
        .copy_(cells[i].pixels);
  }
}

Tensor filled(const Layout& layout, const Color& color) {
  const Tensor one = torch::tensor({color.red, color.green, color.blue}, torch::kUInt8);
  return one.expand({layout.height, layout.width, 3}).clone(torch::MemoryFormat::Contiguous);
}

}  // namespace

std::string sheet_name(int64_t iteration) {
  return fmt::format("sheet-{:06}{}", iteration, kPictureExtension);
}

Image contact_sheet(const SheetSpec& spec) {
  if (spec.num_columns < 1 || spec.num_columns > kMaxImageSidePx)
    throw InvalidRequest("contact_sheet: {} columns, expected 1 to {}", spec.num_columns,
                         kMaxImageSidePx);
  const Shape size = check_cells(spec);
  check_labels(spec.column_labels, spec.num_columns, "column");
  check_labels(spec.row_labels, num_rows(spec), "row");
  const Fonts fonts = load_fonts(spec, size[1]);
  const Layout layout = make_layout(spec, fonts, size);
  const Palette& palette = spec.is_dark ? kDark : kLight;
  const Tensor sheet = filled(layout, palette.background);
  draw_pictures(sheet, layout, spec.cells);
  if (fonts.label) {
    draw_lines(sheet, *fonts.title, layout.title, {layout.margin, layout.margin, palette.text});
    draw_column_labels(sheet, layout, fonts, palette.text);
    draw_row_labels(sheet, layout, fonts, palette.text);
    draw_captions(sheet, layout, fonts, palette.faint);
  }
  return {sheet, {}, {}};
}

}  // namespace fourstep
