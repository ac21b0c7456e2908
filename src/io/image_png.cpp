// PNG through libpng. libpng reports errors by longjmp, which must not pass over C++ objects that
// need
// destruction: each function that calls setjmp holds plain values only, everything owned lives in
// the PngReader or PngWriter of its caller.
#ifndef FOURSTEP_MINIMAL
#include <png.h>
#include <torch/types.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "io/image_codecs.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

using Reason = std::array<char, 200>;

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* reason = static_cast<Reason*>(png_get_error_ptr(png));
  std::snprintf(reason->data(), reason->size(), "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp png, png_const_charp message) {}

struct PngReader {
  std::string_view rest;  ///< not read yet
  Reason reason{};
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit PngReader(std::string_view bytes) : rest(bytes) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reason, on_error, on_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    if (!info) throw Error("libpng cannot start");
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void read_bytes(png_structp png, png_bytep out, size_t size) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (size > reader->rest.size()) png_error(png, "the file is cut off");
  std::memcpy(out, reader->rest.data(), size);
  reader->rest.remove_prefix(size);
}

/// Up to the pixels, with every kind of file set to arrive as 8-bit RGB or RGBA.
bool read_header(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  // Texts are read by image_text.cpp, within its own bounds.
  constexpr const char* kSkipped = "tEXt\0zTXt\0iTXt\0iCCP";
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER,
                              reinterpret_cast<png_const_bytep>(kSkipped), 4);
  png_set_user_limits(reader.png, PNG_UINT_31_MAX,
                      PNG_UINT_31_MAX);  // check_image_size has better words
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_read_info(reader.png, reader.info);
  png_set_expand(reader.png);
  png_set_scale_16(reader.png);
  png_set_gray_to_rgb(reader.png);
  png_set_interlace_handling(reader.png);
  return true;
}

bool start_rows(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool read_png_rows(PngReader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

struct PngWriter {
  std::string bytes;
  Reason reason{};
  png_structp png = nullptr;
  png_infop info = nullptr;

  PngWriter() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &reason, on_error, on_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    if (!info) throw Error("libpng cannot start");
  }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

bool append_bytes(std::string& out, const void* data, size_t size) noexcept {
  try {
    out.append(static_cast<const char*>(data), size);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void write_bytes(png_structp png, png_bytep data, size_t size) {
  auto* writer = static_cast<PngWriter*>(png_get_io_ptr(png));
  if (!append_bytes(writer->bytes, data, size)) png_error(png, "out of memory");
}

struct PngPicture {
  png_uint_32 width, height;
  int color_type, compression;
  png_bytepp rows;
  png_textp text;
  int num_text;
};

bool write_png_picture(PngWriter& writer, const PngPicture& picture) {
  if (setjmp(png_jmpbuf(writer.png))) return false;
  png_set_user_limits(writer.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_write_fn(writer.png, &writer, write_bytes, nullptr);
  png_set_compression_level(writer.png, picture.compression);
  png_set_IHDR(writer.png, writer.info, picture.width, picture.height, 8, picture.color_type,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_text(writer.png, writer.info, picture.text, picture.num_text);
  png_write_info(writer.png, writer.info);
  png_write_image(writer.png, picture.rows);
  png_write_end(writer.png, nullptr);
  return true;
}

/// One text chunk in the encoding that PNG wants for it.
struct EncodedText {
  std::string keyword, value;
  bool is_latin1 = false;
};

/// text: of names that fit_text() passed.
std::vector<EncodedText> encoded_texts(const ImageText& text) {
  std::vector<EncodedText> out;
  for (const auto& [name, value] : text) {
    const std::string whole = text_without_nuls(value);
    const auto latin1 = latin1_from_utf8(whole);
    out.push_back({latin1_from_utf8(name).value(), latin1.value_or(whole), latin1.has_value()});
  }
  return out;
}

std::vector<png_text> png_texts(std::vector<EncodedText>& texts) {
  std::vector<png_text> out(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    out[i] = {};
    out[i].compression = texts[i].is_latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    out[i].key = texts[i].keyword.data();
    out[i].text = texts[i].value.data();
    (texts[i].is_latin1 ? out[i].text_length : out[i].itxt_length) = texts[i].value.size();
  }
  return out;
}

std::vector<png_bytep> row_pointers(uint8_t* data, int64_t height, int64_t row_bytes) {
  std::vector<png_bytep> rows(static_cast<size_t>(height));
  for (int64_t y = 0; y < height; ++y) rows[static_cast<size_t>(y)] = data + y * row_bytes;
  return rows;
}

}  // namespace

Tensor decode_png(std::string_view bytes) {
  PngReader reader(bytes);
  if (!read_header(reader)) throw Error("libpng: {}", reader.reason.data());
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  check_image_size(width, height);
  if (!start_rows(reader)) throw Error("libpng: {}", reader.reason.data());
  const int64_t channels = png_get_channels(reader.png, reader.info);
  const int64_t row_bytes = static_cast<int64_t>(png_get_rowbytes(reader.png, reader.info));
  if (channels < 3 || row_bytes != width * channels) throw Error("PNG rows are not 8-bit RGB");
  const Tensor pixels = torch::empty({height, width, channels}, torch::kUInt8);
  std::vector<png_bytep> rows = row_pointers(pixels.data_ptr<uint8_t>(), height, row_bytes);
  if (!read_png_rows(reader, rows.data())) throw Error("libpng: {}", reader.reason.data());
  return pixels;
}

std::string encode_png(const Tensor& pixels, const ImageText& text, const ImageOptions& options) {
  const int64_t height = pixels.size(0), width = pixels.size(1), channels = pixels.size(2);
  std::vector<EncodedText> encoded = encoded_texts(text);
  std::vector<png_text> texts = png_texts(encoded);
  // libpng's row pointers are not const, but it does not write to them.
  std::vector<png_bytep> rows = row_pointers(pixels.data_ptr<uint8_t>(), height, width * channels);
  PngWriter writer;
  const PngPicture picture{static_cast<png_uint_32>(width),
                           static_cast<png_uint_32>(height),
                           channels == 4 ? PNG_COLOR_TYPE_RGBA : PNG_COLOR_TYPE_RGB,
                           options.png_compression,
                           rows.data(),
                           texts.data(),
                           static_cast<int>(texts.size())};
  if (!write_png_picture(writer, picture)) throw Error("libpng: {}", writer.reason.data());
  return std::move(writer.bytes);
}

}  // namespace fourstep
#endif
