// WebP through libwebp (pixels) and libwebpmux (EXIF).
#ifndef FOURSTEP_MINIMAL
#include <torch/types.h>
#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>

#include "base/error.h"
#include "io/image_codecs.h"

namespace fourstep {
namespace {

static_assert(kMaxWebpSidePx == WEBP_MAX_DIMENSION);

/// WebPPicture and WebPMemoryWriter with their memory.
struct WebpWriter {
  WebPPicture picture{};
  WebPMemoryWriter memory{};

  WebpWriter() {
    if (!WebPPictureInit(&picture)) throw Error("libwebp has another version than its headers");
    WebPMemoryWriterInit(&memory);
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &memory;
  }
  WebpWriter(const WebpWriter&) = delete;
  WebpWriter& operator=(const WebpWriter&) = delete;
  ~WebpWriter() {
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&memory);
  }
};

WebPConfig make_config(const ImageOptions& options) {
  WebPConfig config;
  const auto quality = static_cast<float>(options.quality);
  if (!WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, quality)) throw Error("libwebp cannot start");
  if (!options.with_loss) {
    WebPConfigLosslessPreset(&config, 6);
    config.exact = 1;  // also the colours under transparent pixels
  }
  return config;
}

/// file: a WebP file without metadata; exif: not empty.
std::string with_exif(std::string_view file, std::string_view exif) {
  const auto data_of = [](std::string_view bytes) {
    return WebPData{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  };
  const std::unique_ptr<WebPMux, void (*)(WebPMux*)> mux(WebPMuxNew(), WebPMuxDelete);
  const WebPData image = data_of(file), chunk = data_of(exif);
  WebPData assembled{};
  const bool is_done = mux && WebPMuxSetImage(mux.get(), &image, 0) == WEBP_MUX_OK &&
                       WebPMuxSetChunk(mux.get(), "EXIF", &chunk, 0) == WEBP_MUX_OK &&
                       WebPMuxAssemble(mux.get(), &assembled) == WEBP_MUX_OK;
  std::string bytes;
  if (is_done) bytes.assign(reinterpret_cast<const char*>(assembled.bytes), assembled.size);
  WebPDataClear(&assembled);
  if (!is_done) throw Error("libwebpmux cannot put the text into the file");
  return bytes;
}

}  // namespace

Tensor decode_webp(std::string_view bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    throw Error("libwebp: the header is broken or cut off");
  }
  if (features.has_animation) throw Error("animated WebP, expected a single picture");
  check_image_size(features.width, features.height);
  const int channels = features.has_alpha ? 4 : 3;
  const Tensor pixels = torch::empty({features.height, features.width, channels}, torch::kUInt8);
  const auto decode = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode(data, bytes.size(), pixels.data_ptr<uint8_t>(), static_cast<size_t>(pixels.numel()),
              features.width * channels)) {
    throw Error("libwebp: the picture is broken or cut off");
  }
  return pixels;
}

std::string encode_webp(const Tensor& pixels, const ImageText& text, const ImageOptions& options) {
  const int channels = static_cast<int>(pixels.size(2));
  const WebPConfig config = make_config(options);
  WebpWriter writer;
  writer.picture.width = static_cast<int>(pixels.size(1));
  writer.picture.height = static_cast<int>(pixels.size(0));
  writer.picture.use_argb = options.with_loss ? 0 : 1;
  const auto import = channels == 4 ? WebPPictureImportRGBA : WebPPictureImportRGB;
  const bool is_done =
      import(&writer.picture, pixels.const_data_ptr<uint8_t>(), writer.picture.width * channels) &&
      WebPEncode(&config, &writer.picture);
  if (!is_done) throw Error("libwebp: error {}", static_cast<int>(writer.picture.error_code));
  const std::string_view file(reinterpret_cast<const char*>(writer.memory.mem), writer.memory.size);
  const std::string exif = make_exif(text).value();
  return exif.empty() ? std::string(file) : with_exif(file, exif);
}

}  // namespace fourstep
#endif
