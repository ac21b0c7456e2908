#pragma once
// Scenes as pictures.

#include <functional>
#include <span>

#include "base/tensor.h"
#include "emoji/scene.h"

namespace fourstep {

/// The picture of a code point: uint8 [h,w,4], RGBA with the colours multiplied by alpha
/// (premultiplied). Called from several threads; throws Error where there is none.
using GlyphSource = std::function<Tensor(char32_t code)>;

/// [3,side,side] fp32 in [-1,1] (RGB): the background alone. A gradient has its two colours exactly
/// at the edges; halves meet in the middle.
Tensor draw_background(const Background& background, int64_t side);

/// Blends a glyph into `image` [3,side,side] fp32 in [-1,1], contiguous. Each pixel takes the
/// average of the glyph over its area, or over one pixel of the glyph where that is more, which
/// makes enlarging linear interpolation. What lies outside of the picture is cut off.
/// glyph: as of a GlyphSource.
void paint_glyph(const Tensor& image, const Tensor& glyph, const Placed& placed);

/// [3,side,side] fp32 in [-1,1]. Throws Error when `glyph` has no picture of an emoji of the scene.
Tensor draw_scene(const Scene& scene, std::span<const Emoji> emoji, const GlyphSource& glyph,
                  int64_t side);

}  // namespace fourstep
