// What stands in for text_drawing.cpp in builds without FreeType.
#ifdef FOURSTEP_MINIMAL

#include "base/error.h"
#include "report/text_drawing.h"

namespace fourstep {

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

}  // namespace fourstep

#endif
