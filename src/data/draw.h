#pragma once
// Scenes as pictures.

#include <span>

#include "base/tensor.h"
#include "data/emoji_font.h"
#include "data/scene.h"

namespace fourstep {

/// [3,side,side] fp32 in [-1,1] (RGB): the background alone. A gradient has its two colours exactly at the edges;
/// halves meet in the middle.
Tensor draw_background(const Background& background, int64_t side);

/// Blends a glyph into `image` [3,side,side] fp32 in [-1,1], contiguous. Each pixel takes the average of the
/// glyph over its area, or over one pixel of the glyph where that is more, which makes enlarging linear
/// interpolation. What lies outside of the picture is cut off.
/// glyph: uint8 [h,w,4], premultiplied RGBA (EmojiFont::glyph).
void paint_glyph(const Tensor& image, const Tensor& glyph, const Placed& placed);

/// [3,side,side] fp32 in [-1,1]. Throws Error when the font lacks an emoji of the scene.
Tensor draw_scene(const Scene& scene, std::span<const Emoji> emoji, const EmojiFont& font,
                  int64_t side);

}  // namespace fourstep
