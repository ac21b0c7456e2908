#pragma once
// Image files: PNG, JPEG, WebP and PPM to and from uint8 pixels, and these to and from the images
// of the networks. FOURSTEP_MINIMAL builds know PPM alone.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/tensor.h"
#include "io/exif.h"

namespace fourstep {

/// Longest side of an image that is read or written: a small file can claim to be a huge picture.
constexpr int64_t kMaxImageSidePx = 16384;

struct Image {
  Tensor pixels;   ///< uint8 [H,W,3], RGB as stored: colour profiles and gamma are not applied
  Tensor alpha;    ///< uint8 [H,W], 255 is opaque; undefined when the file has no transparency
  ImageText text;  ///< see exif.h
};

enum class ImageFormat { kPng, kJpeg, kWebp, kPpm };

/// Of pictures that nobody named: the one format that needs no library where there is none.
#ifdef FOURSTEP_MINIMAL
constexpr const char* kPictureExtension = ".ppm";
#else
constexpr const char* kPictureExtension = ".png";
#endif

struct ImageOptions {
  int quality = 92;         ///< 1..100, JPEG (written without chroma subsampling) and lossy WebP
  bool with_loss = true;    ///< WebP: false keeps every pixel as it is
  int png_compression = 4;  ///< 0 (fast, large) .. 9 (slow, small)
};

/// How a colour between two of the 256 steps is written. kNearest (ties to even) is what diffusers
/// does, kTruncate what ComfyUI and A1111 do: needed to get their files bit for bit.
enum class Rounding { kNearest, kTruncate };

/// By the extension (.png, .jpg, .jpeg, .webp, .ppm in any case). Throws InvalidRequest for another
/// one.
ImageFormat image_format_of(const std::filesystem::path& path);

/// Reads by content, not by name. 16-bit, palette, gray, interlaced and CMYK files become 8-bit
/// RGB; EXIF orientation is applied. PPM: P5 and P6.
/// Throws Error naming the file when it is missing, broken or cut off, of another format, animated,
/// larger than kMaxImageSidePx a side, or needs a library that this build was made without.
Image read_image(const std::filesystem::path& path);

/// The texts alone, without decoding the pixels; empty when there are none or the format has none.
/// Throws Error naming the file when it cannot be read.
ImageText read_image_text(const std::filesystem::path& path);

/// Throws Error with the reason alone when this build cannot write the format, or the format has no
/// images of this size.
void check_image_format(ImageFormat format, int64_t width, int64_t height);

/// Writes in the format that the extension names; whole or not at all (see atomic_file.h). PNG:
/// texts as tEXt when Latin-1 has all their characters, else iTXt; JPEG and WebP: EXIF (make_exif).
/// Texts that the format does not hold are left out: text_encoding.h tells which.
/// Throws InvalidRequest for an unknown extension or an option out of range, Error naming the file
/// when it cannot be written or the format cannot hold the image (alpha in JPEG and PPM).
void write_image(const std::filesystem::path& path, const Image& image,
                 const ImageOptions& options = {});

/// read_image() for a whole file in memory. Throws Error with the reason alone, for the caller to
/// name the source.
Image decode_image(std::string_view bytes);

/// write_image() into memory. Throws InvalidRequest for an option out of range, Error with the
/// reason alone.
std::string encode_image(const Image& image, ImageFormat format, const ImageOptions& options = {});

/// image: [B,3,H,W] floating point in [-1,1]; values outside, infinite too, are clamped.
/// Returns uint8 [B,H,W,3] on the CPU, (x / 2 + 1/2) * 255 in fp32, rounded as asked.
/// Throws Error when a pixel is NaN.
Tensor pixels_from_image(const Tensor& image, Rounding rounding = Rounding::kNearest);

/// pixels: uint8 [H,W,3] or [B,H,W,3]. Returns [B,3,H,W] fp32 in [-1,1], p / 255 * 2 - 1 (diffusers
/// and ComfyUI alike), B being 1 for [H,W,3].
Tensor image_from_pixels(const Tensor& pixels);

}  // namespace fourstep
