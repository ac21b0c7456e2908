#pragma once
// The formats behind image.h: whole files in memory to and from interleaved pixels. Each throws
// Error with the reason alone; image.cpp puts the operation and the file name in front.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/tensor.h"
#include "io/image.h"

namespace fourstep {

/// Longest side of a WebP image.
constexpr int64_t kMaxWebpSidePx = 16383;

/// Throws Error unless both sides are 1..kMaxImageSidePx. To be called before anything is
/// allocated.
void check_image_size(int64_t width, int64_t height);

/// Returns uint8 [H,W,3], or [H,W,4] when the file has transparency, rows as stored (orientation
/// not applied).
Tensor decode_ppm(std::string_view bytes);
/// pixels: contiguous uint8 [H,W,3] on the CPU; text and options are not used.
std::string encode_ppm(const Tensor& pixels, const ImageText& text, const ImageOptions& options);

#ifndef FOURSTEP_MINIMAL
// text: what fit_text() left of it.

/// As decode_ppm().
Tensor decode_png(std::string_view bytes);
Tensor decode_jpeg(std::string_view bytes);
Tensor decode_webp(std::string_view bytes);
/// pixels: contiguous uint8 [H,W,3] or (not for JPEG) [H,W,4] on the CPU.
std::string encode_png(const Tensor& pixels, const ImageText& text, const ImageOptions& options);
std::string encode_jpeg(const Tensor& pixels, const ImageText& text, const ImageOptions& options);
std::string encode_webp(const Tensor& pixels, const ImageText& text, const ImageOptions& options);
#endif

}  // namespace fourstep
