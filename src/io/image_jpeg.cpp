// JPEG through libjpeg. Its errors come back by longjmp: see image_png.cpp for how that is kept
// safe.
#ifndef FOURSTEP_MINIMAL
#include <cstdio>  // jpeglib.h needs it before

#include <jpeglib.h>

#include <jerror.h>
#include <torch/types.h>

#include <csetjmp>
#include <cstdlib>

#include "base/error.h"
#include "io/image_codecs.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

constexpr int kMaxScans =
    200;  // progressive files have about ten; each costs a pass over the picture

struct JpegErrors {
  jpeg_error_mgr manager{};  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump{};
  char reason[JMSG_LENGTH_MAX] = {};
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->reason);
  std::longjmp(errors->jump, 1);
}

/// libjpeg fills in gray where a file is cut off and only warns: for us that is an error.
void on_message(j_common_ptr info, int level) {
  const bool is_cut_off =
      info->err->msg_code == JWRN_JPEG_EOF || info->err->msg_code == JWRN_HIT_MARKER;
  if (level < 0 && is_cut_off) on_error(info);
}

jpeg_error_mgr* set_up(JpegErrors& errors) {
  jpeg_std_error(&errors.manager);
  errors.manager.error_exit = on_error;
  errors.manager.emit_message = on_message;
  return &errors.manager;
}

struct JpegReader {
  JpegErrors errors;
  jpeg_decompress_struct info{};
  jpeg_progress_mgr progress{};

  JpegReader() { info.err = set_up(errors); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

void check_scans(j_common_ptr info) {
  const auto* reader = reinterpret_cast<j_decompress_ptr>(info);
  if (reader->input_scan_number > kMaxScans) ERREXIT(info, JERR_BAD_PROGRESSION);
}

bool read_header(JpegReader& reader, const unsigned char* bytes, size_t size) {
  if (setjmp(reader.errors.jump)) return false;
  jpeg_create_decompress(&reader.info);
  reader.progress.progress_monitor = check_scans;
  reader.info.progress = &reader.progress;
  jpeg_mem_src(&reader.info, bytes, static_cast<unsigned long>(size));
  jpeg_read_header(&reader.info, TRUE);
  const bool is_cmyk =
      reader.info.jpeg_color_space == JCS_CMYK || reader.info.jpeg_color_space == JCS_YCCK;
  reader.info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  return true;
}

/// out: width * height * (3 or 4) bytes.
bool read_rows(JpegReader& reader, uint8_t* out) {
  if (setjmp(reader.errors.jump)) return false;
  jpeg_start_decompress(&reader.info);
  const size_t row_bytes = size_t{reader.info.output_width} * reader.info.output_components;
  while (reader.info.output_scanline < reader.info.output_height) {
    JSAMPROW row = out + row_bytes * reader.info.output_scanline;
    jpeg_read_scanlines(&reader.info, &row, 1);
  }
  jpeg_finish_decompress(&reader.info);
  return true;
}

/// [H,W,4] to [H,W,3] without colour profiles. Adobe's programs store the inks inverted, and mark
/// the file.
Tensor rgb_from_cmyk(const Tensor& cmyk, bool is_inverted) {
  const Tensor left =
      (is_inverted ? cmyk : 255 - cmyk).to(torch::kFloat32);  // light the ink leaves
  return (left.narrow(2, 0, 3) * left.narrow(2, 3, 1) / 255).round().to(torch::kUInt8);
}

struct JpegWriter {
  JpegErrors errors;
  jpeg_compress_struct info{};
  unsigned char* bytes = nullptr;  ///< malloc'ed by libjpeg
  unsigned long size = 0;

  JpegWriter() { info.err = set_up(errors); }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
};

struct JpegPicture {
  JDIMENSION width, height;
  uint8_t* pixels;
  int quality;
  const unsigned char* exif;  ///< with "Exif\0\0"
  unsigned exif_bytes;        ///< 0: none
};

bool write_jpeg_picture(JpegWriter& writer, const JpegPicture& picture) {
  if (setjmp(writer.errors.jump)) return false;
  jpeg_create_compress(&writer.info);
  jpeg_mem_dest(&writer.info, &writer.bytes, &writer.size);
  writer.info.image_width = picture.width;
  writer.info.image_height = picture.height;
  writer.info.input_components = 3;
  writer.info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&writer.info);
  jpeg_set_quality(&writer.info, picture.quality, TRUE);
  // No chroma subsampling: it smears the saturated edges that generated pictures are full of.
  writer.info.comp_info[0].h_samp_factor = writer.info.comp_info[0].v_samp_factor = 1;
  writer.info.optimize_coding = TRUE;
  jpeg_start_compress(&writer.info, TRUE);
  if (picture.exif_bytes) {
    jpeg_write_marker(&writer.info, JPEG_APP0 + 1, picture.exif, picture.exif_bytes);
  }
  while (writer.info.next_scanline < writer.info.image_height) {
    JSAMPROW row = picture.pixels + size_t{3} * picture.width * writer.info.next_scanline;
    jpeg_write_scanlines(&writer.info, &row, 1);
  }
  jpeg_finish_compress(&writer.info);
  return true;
}

}  // namespace

Tensor decode_jpeg(std::string_view bytes) {
  JpegReader reader;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!read_header(reader, data, bytes.size())) throw Error("libjpeg: {}", reader.errors.reason);
  const int64_t width = reader.info.image_width, height = reader.info.image_height;
  check_image_size(width, height);
  const bool is_cmyk = reader.info.out_color_space == JCS_CMYK;
  const Tensor stored = torch::empty({height, width, is_cmyk ? 4 : 3}, torch::kUInt8);
  if (!read_rows(reader, stored.data_ptr<uint8_t>())) {
    throw Error("libjpeg: {}", reader.errors.reason);
  }
  return is_cmyk ? rgb_from_cmyk(stored, reader.info.saw_Adobe_marker) : stored;
}

std::string encode_jpeg(const Tensor& pixels, const ImageText& text, const ImageOptions& options) {
  std::string exif = make_exif(text, kMaxJpegExifBytes).value();
  if (!exif.empty()) exif.insert(0, std::string_view("Exif\0\0", 6));
  JpegWriter writer;
  const JpegPicture picture{static_cast<JDIMENSION>(pixels.size(1)),
                            static_cast<JDIMENSION>(pixels.size(0)),
                            pixels.data_ptr<uint8_t>(),
                            options.quality,
                            reinterpret_cast<const unsigned char*>(exif.data()),
                            static_cast<unsigned>(exif.size())};
  if (!write_jpeg_picture(writer, picture)) throw Error("libjpeg: {}", writer.errors.reason);
  return {reinterpret_cast<const char*>(writer.bytes), writer.size};
}

}  // namespace fourstep
#endif
