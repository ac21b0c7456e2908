#pragma once
// Where emoji come from: names and order from Unicode's emoji-test.txt, further words from CLDR's
// English annotations, pictures from a font with colour bitmaps. All are files of Debian packages.

#include <filesystem>
#include <memory>

#include "base/tensor.h"
#include "emoji/emoji_list.h"

namespace fourstep {

/// Where Debian puts the files.
struct EmojiSources {
  std::filesystem::path emoji_test =
      "/usr/share/unicode/emoji/emoji-test.txt";  ///< package unicode-data
  std::filesystem::path annotations =
      "/usr/share/unicode/cldr/common/annotations/en.xml";  ///< unicode-cldr-core
  std::filesystem::path font =
      "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";  ///< fonts-noto-color-emoji
};

/// The emoji whose group, subgroup or name is `wanted`, in the order of emoji-test.txt: fully
/// qualified, of one code point (so without skin tones and sequences), no flags, each name once.
/// Nothing wanted: all but Component, Flags and Symbols. Emoji newer than version 15.0 are left
/// out, so that all releases of Debian from 12 on give the same list.
/// Throws Error when a file is missing (naming the package), a line or the XML is malformed, or
/// nothing is called so.
std::vector<Emoji> read_emoji_list(const EmojiSources& sources,
                                   const std::vector<std::string>& wanted);

/// An open font file. Its functions may be called from several threads at once.
class EmojiFont {
 public:
  /// Throws Error when the file is missing (naming the Debian package) or is no font with colour
  /// bitmaps.
  explicit EmojiFont(const std::filesystem::path& path);
  ~EmojiFont();
  EmojiFont(EmojiFont&&) noexcept;
  EmojiFont& operator=(EmojiFont&&) noexcept;

  bool has(char32_t code) const;

  /// uint8 [h,w,4], RGBA with the colours multiplied by alpha (premultiplied); h, w are 128 and 136
  /// in Noto's font. Glyphs are kept, so a second call is cheap; the caller must not change the
  /// tensor.
  /// Throws Error when the font has no colour bitmap for `code`.
  Tensor glyph(char32_t code) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fourstep
