#include "io/image.h"

#include <torch/types.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/image_codecs.h"
#include "io/image_text.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 31;

struct Codec {
  ImageFormat format;
  Tensor (*decode)(std::string_view);
  std::string (*encode)(const Tensor&, const ImageText&, const ImageOptions&);
};

constexpr Codec kCodecs[] = {
    {ImageFormat::kPpm, decode_ppm, encode_ppm},
#ifndef FOURSTEP_MINIMAL
    {ImageFormat::kPng, decode_png, encode_png},
    {ImageFormat::kJpeg, decode_jpeg, encode_jpeg},
    {ImageFormat::kWebp, decode_webp, encode_webp},
#endif
};

const char* format_word(ImageFormat format) {
  constexpr const char* kNames[] = {"PNG", "JPEG", "WebP", "PPM"};
  return kNames[static_cast<int>(format)];
}

const Codec& codec_of(ImageFormat format) {
  for (const Codec& codec : kCodecs) {
    if (codec.format == format) return codec;
  }
  throw Error("this build was made without {} (FOURSTEP_MINIMAL); use .ppm", format_word(format));
}

ImageFormat format_of_content(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return ImageFormat::kPng;
  if (bytes.starts_with("\xFF\xD8\xFF")) return ImageFormat::kJpeg;
  if (bytes.starts_with("RIFF") && bytes.size() > 12 && bytes.substr(8, 4) == "WEBP")
    return ImageFormat::kWebp;
  if (bytes.starts_with("P6") || bytes.starts_with("P5")) return ImageFormat::kPpm;
  const bool is_gif = bytes.starts_with("GIF8");
  const bool is_heif = bytes.size() > 12 && bytes.substr(4, 4) == "ftyp";
  throw Error("the content is {}, expected PNG, JPEG, WebP or PPM",
              is_gif          ? "GIF"
              : is_heif       ? "AVIF or HEIF"
              : bytes.empty() ? "empty"
                              : "of no known image format");
}

void check_bytes(const Tensor& tensor, const Shape& expected, const std::string& what) {
  check_shape(tensor, expected, what);
  if (tensor.scalar_type() != torch::kUInt8) throw Error("{}: not uint8", what);
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed) throw Error("{}", failed.message());
  if (size > kMaxFileBytes) throw Error("{} bytes are more than an image can have", size);
  std::string bytes(size, '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(size))) throw Error("cannot be read");
  return bytes;
}

/// Runs `work`, putting `what` in front of the message of its errors (not of InvalidRequest, which
/// is about the options).
template <typename Work>
auto with_context(const std::string& what, Work work) {
  try {
    return work();
  } catch (const InvalidRequest&) {
    throw;
  } catch (const Error& error) {
    throw Error("{}: {}", what, error.what());
  }
}

/// pixels: [H,W,C]. The eight values of EXIF's tag 0x0112; see the table of the EXIF 2.3 standard,
/// 4.6.4.
Tensor upright(Tensor pixels, int orientation) {
  if (orientation >= 5) pixels = pixels.transpose(0, 1);
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  if (flip_x) pixels = pixels.flip(1);
  if (flip_y) pixels = pixels.flip(0);
  return pixels;
}

Exif metadata_of(std::string_view bytes) {
#ifdef FOURSTEP_MINIMAL
  return {};
#else
  return parse_image_metadata(bytes);
#endif
}

void check_options(const ImageOptions& options) {
  if (options.quality < 1 || options.quality > 100) {
    throw InvalidRequest("image options: quality {}, expected 1..100", options.quality);
  }
  if (options.png_compression < 0 || options.png_compression > 9) {
    throw InvalidRequest("image options: png_compression {}, expected 0..9",
                         options.png_compression);
  }
}

}  // namespace

void check_image_size(int64_t width, int64_t height) {
  if (width < 1 || height < 1 || width > kMaxImageSidePx || height > kMaxImageSidePx) {
    throw Error("{}x{} pixels, expected 1..{} a side", width, height, kMaxImageSidePx);
  }
}

void check_image_format(ImageFormat format, int64_t width, int64_t height) {
  codec_of(format);
  check_image_size(width, height);
  if (format == ImageFormat::kWebp && std::max(width, height) > kMaxWebpSidePx) {
    throw Error("{}x{} pixels, of which WebP holds {} a side; use .png", width, height,
                kMaxWebpSidePx);
  }
}

ImageFormat image_format_of(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".png") return ImageFormat::kPng;
  if (extension == ".jpg" || extension == ".jpeg") return ImageFormat::kJpeg;
  if (extension == ".webp") return ImageFormat::kWebp;
  if (extension == ".ppm") return ImageFormat::kPpm;
  throw InvalidRequest(
      "image file \"{}\": extension \"{}\", expected .png, .jpg, .jpeg, .webp or .ppm",
      path.string(), extension);
}

Image decode_image(std::string_view bytes) {
  const Tensor stored = codec_of(format_of_content(bytes)).decode(bytes);
  Exif metadata = metadata_of(bytes);
  const Tensor pixels = upright(stored, metadata.orientation);
  Image image;
  image.pixels = pixels.narrow(2, 0, 3).contiguous();
  if (pixels.size(2) == 4) image.alpha = pixels.select(2, 3).contiguous();
  image.text = std::move(metadata.text);
  return image;
}

std::string encode_image(const Image& image, ImageFormat format, const ImageOptions& options) {
  check_options(options);
  const Codec& codec = codec_of(format);
  check_bytes(image.pixels, {-1, -1, 3}, "pixels");
  check_image_format(format, image.pixels.size(1), image.pixels.size(0));
  Tensor pixels = image.pixels;
  if (image.alpha.defined()) {
    const bool has_alpha_channel = format == ImageFormat::kPng || format == ImageFormat::kWebp;
    if (!has_alpha_channel) throw Error("{} has no transparency; use .png", format_word(format));
    check_bytes(image.alpha, {pixels.size(0), pixels.size(1)}, "alpha");
    pixels = torch::cat({pixels, image.alpha.unsqueeze(2)}, 2);
  }
  return codec.encode(pixels.to(torch::kCPU).contiguous(), fit_text(image.text, format).text,
                      options);
}

Image read_image(const std::filesystem::path& path) {
  return with_context(fmt::format("read_image(\"{}\")", path.string()),
                      [&] { return decode_image(read_file(path)); });
}

ImageText read_image_text(const std::filesystem::path& path) {
  return with_context(fmt::format("read_image_text(\"{}\")", path.string()),
                      [&] { return metadata_of(read_file(path)).text; });
}

void write_image(const std::filesystem::path& path, const Image& image,
                 const ImageOptions& options) {
  const ImageFormat format = image_format_of(path);
  const std::string bytes = with_context(fmt::format("write_image(\"{}\")", path.string()),
                                         [&] { return encode_image(image, format, options); });
  write_atomically(path, [&](std::ostream& out) {
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  });
}

Tensor pixels_from_image(const Tensor& image, Rounding rounding) {
  check_shape(image, {-1, 3, -1, -1}, "pixels_from_image: image");
  const Tensor values = image.detach().to(torch::kCPU, torch::kFloat32);
  if (values.isnan().any().item<bool>()) throw Error("pixels_from_image: the image has NaN");
  const Tensor scaled = (values / 2 + 0.5).clamp(0, 1).permute({0, 2, 3, 1}) * 255;
  const Tensor whole = rounding == Rounding::kNearest ? scaled.round() : scaled.floor();
  return whole.to(torch::kUInt8).contiguous();
}

Tensor image_from_pixels(const Tensor& pixels) {
  const Tensor batch = pixels.dim() == 3 ? pixels.unsqueeze(0) : pixels;
  check_bytes(batch, {-1, -1, -1, 3}, "image_from_pixels: pixels");
  return (batch.permute({0, 3, 1, 2}).to(torch::kFloat32) / 255 * 2 - 1).contiguous();
}

}  // namespace fourstep
