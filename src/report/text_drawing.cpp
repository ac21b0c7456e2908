#include "report/text_drawing.h"

#include <algorithm>
#include <cmath>
#include <string>

#ifndef FOURSTEP_MINIMAL
#include <ft2build.h>

#include <freetype/freetype.h>
#endif

#include "base/error.h"
#include "base/text_tools.h"

namespace fourstep {

namespace {

constexpr const char* kEllipsis = "\u2026";

std::string utf8_of(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

std::u32string_view without_blanks_behind(std::u32string_view text) {
  while (!text.empty() && text.back() == U' ') text.remove_suffix(1);
  return text;
}

std::u32string_view without_blanks_before(std::u32string_view text) {
  while (!text.empty() && text.front() == U' ') text.remove_prefix(1);
  return text;
}

/// The largest number of characters from the start of `text` for which `fits(number)` holds.
/// Doubling first: a line is short, the text may be long.
template <typename Fits>
size_t count_fitting(size_t num_characters, const Fits& fits) {
  size_t known = 0, step = 8;
  while (known + step < num_characters && fits(known + step)) {
    known += step;
    step *= 2;
  }
  size_t bound =
      std::min(num_characters, known + step) + 1;  // the first that is out of the question
  while (known + 1 < bound) {
    const size_t middle = known + (bound - known) / 2;
    (fits(middle) ? known : bound) = middle;
  }
  return known;
}

std::string elide(std::u32string_view text, double width, const TextWidth& width_of) {
  const auto elided = [&](size_t n) {
    return utf8_of(without_blanks_behind(text.substr(0, n))) + kEllipsis;
  };
  const auto fits = [&](size_t n) { return width_of(utf8_of(text.substr(0, n))) <= width; };
  if (count_fitting(text.size(), fits) == text.size()) return utf8_of(text);
  return elided(count_fitting(text.size(), [&](size_t n) { return width_of(elided(n)) <= width; }));
}

/// How many characters of `text` the next line takes.
size_t line_length(std::u32string_view text, double width, const TextWidth& width_of) {
  const auto fits = [&](size_t n) {
    return width_of(utf8_of(without_blanks_behind(text.substr(0, n)))) <= width;
  };
  const size_t fitting = count_fitting(text.size(), fits);
  if (fitting == text.size() || text[fitting] == U' ') return std::max<size_t>(fitting, 1);
  const size_t blank = text.substr(0, fitting).rfind(U' ');
  return blank == std::u32string_view::npos ? std::max<size_t>(fitting, 1) : blank;
}

std::u32string with_blanks_only(std::u32string text) {
  for (char32_t& c : text) {
    if (c == U'\t' || c == U'\r') c = U' ';
  }
  return text;
}

}  // namespace

std::string elide_text(std::string_view text, double width, const TextWidth& width_of) {
  return elide(decode_utf8(text), width, width_of);
}

std::vector<std::string> wrap_text(std::string_view text, double width, int64_t max_lines,
                                   const TextWidth& width_of) {
  std::u32string all = with_blanks_only(decode_utf8(text));
  std::u32string_view rest = without_blanks_before(all);
  std::vector<std::string> lines;
  while (!rest.empty() && std::ssize(lines) + 1 < max_lines) {
    const std::u32string_view paragraph = rest.substr(0, rest.find(U'\n'));
    const size_t taken = paragraph.empty() ? 0 : line_length(paragraph, width, width_of);
    lines.push_back(utf8_of(without_blanks_behind(paragraph.substr(0, taken))));
    rest = without_blanks_before(rest.substr(taken));
    const bool is_break = !rest.empty() && rest.front() == U'\n';
    if (is_break) rest = without_blanks_before(rest.substr(1));
  }
  if (rest.empty() || max_lines < 1) return lines;
  std::u32string last(without_blanks_behind(rest));
  std::replace(last.begin(), last.end(), U'\n', U' ');
  lines.push_back(elide(last, width, width_of));
  return lines;
}

#ifdef FOURSTEP_MINIMAL

struct Font::Face {};

bool can_draw_text() { return false; }

Font::Font(const std::filesystem::path& path, double) {
  throw Error(
      "load_font(\"{}\"): this build was made without FreeType (FOURSTEP_MINIMAL); leave titles, "
      "labels and captions empty",
      path.string());
}

Font::~Font() = default;
Font::Font(Font&&) noexcept = default;
Font& Font::operator=(Font&&) noexcept = default;

double Font::width_px(std::string_view) const { return 0; }
int64_t Font::ascent_px() const { return 0; }
int64_t Font::line_height_px() const { return 0; }
void Font::draw(const Tensor&, std::string_view, const TextPlace&) const {}

#else

struct Font::Face {
  FT_Library library = nullptr;
  FT_Face face = nullptr;

  Face() = default;
  Face(const Face&) = delete;
  Face& operator=(const Face&) = delete;
  ~Face() {
    if (face) FT_Done_Face(face);
    if (library) FT_Done_FreeType(library);
  }
};

namespace {

/// FreeType counts in 1/64 of a pixel.
constexpr double kUnitsPerPixel = 64;

/// Control characters, joiners and variation selectors: they have no picture of their own.
bool is_invisible(char32_t c) {
  return c < U' ' || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF;
}

FT_Pos kerning(FT_Face face, FT_UInt left, FT_UInt right) {
  FT_Vector delta{0, 0};
  if (left != 0 && FT_HAS_KERNING(face))
    FT_Get_Kerning(face, left, right, FT_KERNING_UNFITTED, &delta);
  return delta.x;
}

/// Calls visit(glyph index, pen) for each character, the pen in FreeType's units from the start of
/// the line.
/// Returns the pen at the end. Advances are taken without hinting, so that widths grow with the
/// size evenly.
template <typename Visit>
FT_Pos walk_glyphs(FT_Face face, std::string_view text, const Visit& visit) {
  FT_Pos pen = 0;
  FT_UInt previous = 0;
  for (const char32_t c : decode_utf8(text)) {
    if (is_invisible(c)) continue;
    const FT_UInt glyph = FT_Get_Char_Index(face, c);
    pen += kerning(face, previous, glyph);
    previous = glyph;
    if (FT_Load_Glyph(face, glyph, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) != 0) continue;
    const FT_Pos advance = face->glyph->linearHoriAdvance >> 10;  // 16.16 to 26.6
    visit(glyph, pen);
    pen += advance;
  }
  return pen;
}

struct Canvas {
  uint8_t* data;
  int64_t height, width;
};

uint8_t blend(uint8_t below, uint8_t above, int coverage) {
  return static_cast<uint8_t>((below * (255 - coverage) + above * coverage + 127) / 255);
}

void blend_bitmap(const Canvas& canvas, const FT_Bitmap& bitmap, const TextPlace& top_left) {
  const Color& color = top_left.color;
  const int64_t first_row = std::max<int64_t>(0, -top_left.baseline_px),
                first_column = std::max<int64_t>(0, -top_left.x_px);
  const int64_t num_rows = std::min<int64_t>(bitmap.rows, canvas.height - top_left.baseline_px),
                num_columns = std::min<int64_t>(bitmap.width, canvas.width - top_left.x_px);
  for (int64_t row = first_row; row < num_rows; ++row) {
    const uint8_t* coverage = bitmap.buffer + row * bitmap.pitch;
    uint8_t* out = canvas.data + (top_left.baseline_px + row) * canvas.width * 3;
    for (int64_t column = first_column; column < num_columns; ++column) {
      uint8_t* pixel = out + (top_left.x_px + column) * 3;
      pixel[0] = blend(pixel[0], color.red, coverage[column]);
      pixel[1] = blend(pixel[1], color.green, coverage[column]);
      pixel[2] = blend(pixel[2], color.blue, coverage[column]);
    }
  }
}

Canvas canvas_of(const Tensor& pixels) {
  check_shape(pixels, {-1, -1, 3}, "Font::draw: pixels");
  if (pixels.scalar_type() != torch::kUInt8 || !pixels.is_cpu() || !pixels.is_contiguous())
    throw Error("Font::draw: pixels must be a contiguous uint8 tensor on the CPU");
  return {pixels.data_ptr<uint8_t>(), pixels.size(0), pixels.size(1)};
}

std::string missing_font(const std::filesystem::path& path) {
  const bool is_default = path == kDefaultFont;
  return fmt::format("load_font(\"{}\"): there is no such file; {}", path.string(),
                     is_default ? "install the Debian package fonts-dejavu-core"
                                : "name a TrueType or OpenType font");
}

}  // namespace

bool can_draw_text() { return true; }

Font::Font(const std::filesystem::path& path, double size_px) : face_(std::make_unique<Face>()) {
  if (!(size_px > 0 && size_px <= 1000))
    throw InvalidRequest("load_font: a size of {} px, expected more than 0 and at most 1000",
                         size_px);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) throw Error("{}", missing_font(path));
  if (FT_Init_FreeType(&face_->library) != 0) throw Error("load_font: FreeType does not start");
  const auto size = static_cast<FT_F26Dot6>(std::lround(size_px * kUnitsPerPixel));
  const bool is_font = FT_New_Face(face_->library, path.c_str(), 0, &face_->face) == 0 &&
                       FT_IS_SCALABLE(face_->face) &&
                       FT_Set_Char_Size(face_->face, 0, std::max<FT_F26Dot6>(size, 1), 72, 72) == 0;
  if (!is_font)
    throw Error("load_font(\"{}\"): this is no scalable font; name a TrueType or OpenType file",
                path.string());
}

Font::~Font() = default;
Font::Font(Font&&) noexcept = default;
Font& Font::operator=(Font&&) noexcept = default;

double Font::width_px(std::string_view text) const {
  return walk_glyphs(face_->face, text, [](FT_UInt, FT_Pos) {}) / kUnitsPerPixel;
}

int64_t Font::ascent_px() const {
  return static_cast<int64_t>(std::ceil(face_->face->size->metrics.ascender / kUnitsPerPixel));
}

int64_t Font::line_height_px() const {
  const double height = face_->face->size->metrics.height / kUnitsPerPixel;
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(height)));
}

void Font::draw(const Tensor& pixels, std::string_view text, const TextPlace& place) const {
  const Canvas canvas = canvas_of(pixels);
  const FT_Face face = face_->face;
  const auto draw_glyph = [&](FT_UInt glyph, FT_Pos pen) {
    FT_Vector shift{pen & 63, 0};  // the part of a pixel; the rest moves the finished bitmap
    FT_Set_Transform(face, nullptr, &shift);
    constexpr FT_Int32 kHow = FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT | FT_LOAD_NO_BITMAP;
    const bool is_drawn = FT_Load_Glyph(face, glyph, kHow) == 0;
    FT_Set_Transform(face, nullptr, nullptr);
    const FT_GlyphSlot slot = face->glyph;
    if (!is_drawn || slot->bitmap.pixel_mode != FT_PIXEL_MODE_GRAY) return;
    blend_bitmap(canvas, slot->bitmap,
                 {place.x_px + (pen >> 6) + slot->bitmap_left, place.baseline_px - slot->bitmap_top,
                  place.color});
  };
  walk_glyphs(face, text, draw_glyph);
}

#endif

}  // namespace fourstep
