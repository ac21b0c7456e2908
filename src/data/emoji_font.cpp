#include "data/emoji_font.h"

#include <ft2build.h>
#include FT_FREETYPE_H

#include <map>
#include <mutex>
#include <string>

#include "base/error.h"

namespace fourstep {

namespace free_type {

struct CloseFace {
  void operator()(FT_Face face) const { FT_Done_Face(face); }
};
struct CloseLibrary {
  void operator()(FT_Library library) const { FT_Done_FreeType(library); }
};
using Face = std::unique_ptr<FT_FaceRec_, CloseFace>;
using Library = std::unique_ptr<FT_LibraryRec_, CloseLibrary>;

}  // namespace free_type

namespace {

using free_type::Face;
using free_type::Library;

constexpr unsigned kMaxGlyphSidePx = 1024;  // larger ones are broken fonts

Library open_library() {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw Error("EmojiFont: FreeType does not start");
  return Library(library);
}

Face open_face(FT_Library library, const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw Error(
        "EmojiFont(\"{}\"): the font with the emoji is missing; install the Debian package "
        "fonts-noto-color-emoji",
        path.string());
  }
  FT_Face face = nullptr;
  const FT_Error failure = FT_New_Face(library, path.c_str(), 0, &face);
  Face owner(face);
  // A bitmap font has fixed sizes, of which the first is taken; Noto's has one.
  if (failure != 0 || !FT_HAS_COLOR(face) || !FT_HAS_FIXED_SIZES(face) ||
      FT_Select_Size(face, 0) != 0) {
    throw Error(
        "EmojiFont(\"{}\"): not a font with colour bitmaps; take NotoColorEmoji.ttf of the Debian "
        "package fonts-noto-color-emoji",
        path.string());
  }
  return owner;
}

/// FreeType's BGRA rows as a tensor [h,w,4] in RGBA.
Tensor tensor_from_bitmap(const FT_Bitmap& bitmap) {
  const Tensor out = torch::empty({bitmap.rows, bitmap.width, 4}, torch::kUInt8);
  auto* to = out.mutable_data_ptr<uint8_t>();
  for (unsigned y = 0; y < bitmap.rows; ++y) {
    const unsigned char* from = bitmap.buffer + static_cast<ptrdiff_t>(y) * bitmap.pitch;
    for (unsigned x = 0; x < bitmap.width; ++x, from += 4, to += 4) {
      to[0] = from[2], to[1] = from[1], to[2] = from[0], to[3] = from[3];
    }
  }
  return out;
}

bool is_color_bitmap(const FT_Bitmap& bitmap) {
  return bitmap.pixel_mode == FT_PIXEL_MODE_BGRA && bitmap.rows > 0 && bitmap.width > 0 &&
         bitmap.rows <= kMaxGlyphSidePx && bitmap.width <= kMaxGlyphSidePx;
}

}  // namespace

struct EmojiFont::State {
  std::filesystem::path path;
  Library library;
  Face face;         // after the library: closed before it
  std::mutex mutex;  // FreeType's faces are for one thread at a time
  std::map<char32_t, Tensor> glyphs;
};

EmojiFont::EmojiFont(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->library = open_library();
  state_->face = open_face(state_->library.get(), path);
}

EmojiFont::~EmojiFont() = default;
EmojiFont::EmojiFont(EmojiFont&&) noexcept = default;
EmojiFont& EmojiFont::operator=(EmojiFont&&) noexcept = default;

bool EmojiFont::has(char32_t code) const {
  const std::lock_guard lock(state_->mutex);
  return FT_Get_Char_Index(state_->face.get(), code) != 0;
}

Tensor EmojiFont::glyph(char32_t code) const {
  const std::lock_guard lock(state_->mutex);
  if (const auto found = state_->glyphs.find(code); found != state_->glyphs.end()) {
    return found->second;
  }
  FT_Face face = state_->face.get();
  const FT_UInt index = FT_Get_Char_Index(face, code);
  if (index == 0 || FT_Load_Glyph(face, index, FT_LOAD_COLOR) != 0 ||
      !is_color_bitmap(face->glyph->bitmap)) {
    throw Error(
        "EmojiFont::glyph: \"{}\" has no picture of U+{:04X}; update the Debian package "
        "fonts-noto-color-emoji",
        state_->path.string(), static_cast<uint32_t>(code));
  }
  return state_->glyphs[code] = tensor_from_bitmap(face->glyph->bitmap);
}

}  // namespace fourstep
