#pragma once
// Pictures of emoji out of a font with colour bitmaps.

#include <filesystem>
#include <memory>

#include "base/tensor.h"

namespace fourstep {

/// An open font file. Its functions may be called from several threads at once.
class EmojiFont {
 public:
  /// Throws Error when the file is missing (naming the Debian package) or is no font with colour bitmaps.
  explicit EmojiFont(const std::filesystem::path& path);
  ~EmojiFont();
  EmojiFont(EmojiFont&&) noexcept;
  EmojiFont& operator=(EmojiFont&&) noexcept;

  bool has(char32_t code) const;

  /// uint8 [h,w,4], RGBA with the colours multiplied by alpha (premultiplied); h, w are 128 and 136 in Noto's
  /// font. Glyphs are kept, so a second call is cheap; the caller must not change the tensor.
  /// Throws Error when the font has no colour bitmap for `code`.
  Tensor glyph(char32_t code) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fourstep
