#pragma once
// Text broken into lines of a given width (the caller says how wide a text is, so that the same
// rules serve fonts and monospaced terminals), and lines as pixels, drawn with FreeType. Characters
// are set side by side with the font's kerning; scripts that need shaping (Arabic, Devanagari) and
// characters that the font lacks (a box appears instead) are not for this file.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// The width of a text, in the unit in which the caller states the width of a line; must not fall
/// when a character is added.
using TextWidth = std::function<double(std::string_view text)>;

/// `text` where it fits into `width`, else its beginning with an ellipsis (at least the ellipsis).
std::string elide_text(std::string_view text, double width, const TextWidth& width_of);

/// Lines of at most `width`, broken at blanks, inside words that are too long for a line of their
/// own, and at line breaks in the text. What does not fit into max_lines is elided at the end of
/// the last line. An empty text has no lines. A line holds at least one character, however narrow
/// it is.
std::vector<std::string> wrap_text(std::string_view text, double width, int64_t max_lines,
                                   const TextWidth& width_of);

/// Where the Debian package fonts-dejavu-core puts DejaVu Sans.
constexpr const char* kDefaultFont = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

/// False in FOURSTEP_MINIMAL builds: every Font throws there.
bool can_draw_text();

struct Color {
  uint8_t red = 0, green = 0, blue = 0;
};

/// Where a line of text begins, and its colour.
struct TextPlace {
  int64_t x_px = 0;         ///< left end
  int64_t baseline_px = 0;  ///< the row on which letters without descender stand
  Color color = {};
};

/// A font file at one size. One thread at a time may use a Font.
class Font {
 public:
  /// size_px: the height of the em square, above 0 and at most 1000; capitals are about 0.73 of it.
  /// Throws InvalidRequest for a size out of range; Error naming the file (and, for the default
  /// font, its package) when it is missing or no scalable font, and in builds without FreeType.
  Font(const std::filesystem::path& path, double size_px);
  ~Font();
  Font(Font&&) noexcept;
  Font& operator=(Font&&) noexcept;

  /// From the start of the first character to where the next one would begin. Line breaks count
  /// nothing.
  double width_px(std::string_view text) const;
  int64_t ascent_px() const;       ///< from the baseline up to the top of a line
  int64_t line_height_px() const;  ///< from one baseline to the next; at least 1

  /// Draws one line, anti-aliased, onto `pixels`: uint8 [H,W,3], contiguous, on the CPU. What lies
  /// outside is cut off. Throws Error for another tensor.
  void draw(const Tensor& pixels, std::string_view text, const TextPlace& place) const;

 private:
  struct Face;
  std::unique_ptr<Face> face_;
};

}  // namespace fourstep
