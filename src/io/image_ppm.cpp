// PPM (P6) and PGM (P5), the formats that need no library.
#include <torch/types.h>

#include <cctype>
#include <cstring>

#include "base/error.h"
#include "io/image_codecs.h"

namespace fourstep {
namespace {

/// The next whole number of the header, behind blanks and comments.
int64_t take_number(std::string_view& rest) {
  while (!rest.empty() && (std::isspace(static_cast<unsigned char>(rest[0])) || rest[0] == '#')) {
    const bool is_comment = rest[0] == '#';
    rest.remove_prefix(is_comment ? std::min(rest.find('\n'), rest.size()) : 1);
  }
  int64_t value = 0;
  size_t digits = 0;
  for (; digits < rest.size() && std::isdigit(static_cast<unsigned char>(rest[digits])); ++digits) {
    if (digits == 9) throw Error("a number in the PPM header has more than 9 digits");
    value = 10 * value + (rest[digits] - '0');
  }
  if (digits == 0) throw Error("the PPM header is broken or cut off");
  rest.remove_prefix(digits);
  return value;
}

/// data: samples of one byte, or of two (high byte first) when max_value is above 255.
Tensor samples(std::string_view data, const Shape& shape, int64_t max_value) {
  Shape byte_shape = shape;
  byte_shape.push_back(max_value > 255 ? 2 : 1);
  const Tensor bytes = torch::empty(byte_shape, torch::kUInt8);
  std::memcpy(bytes.data_ptr<uint8_t>(), data.data(), static_cast<size_t>(bytes.numel()));
  if (max_value == 255) return bytes.squeeze(3);
  Tensor value = bytes.select(3, 0).to(torch::kFloat32);
  if (max_value > 255) value = value * 256 + bytes.select(3, 1);
  return (value * 255 / static_cast<double>(max_value)).round().clamp_max(255).to(torch::kUInt8);
}

}  // namespace

Tensor decode_ppm(std::string_view bytes) {
  const int64_t channels = bytes.starts_with("P6") ? 3 : 1;
  std::string_view rest = bytes.substr(2);
  const int64_t width = take_number(rest), height = take_number(rest),
                max_value = take_number(rest);
  check_image_size(width, height);
  if (max_value < 1 || max_value > 65535)
    throw Error("PPM maximum {}, expected 1..65535", max_value);
  const int64_t expected = width * height * channels * (max_value > 255 ? 2 : 1);
  if (rest.empty() || static_cast<int64_t>(rest.size()) - 1 < expected) {
    throw Error("the file is cut off: {} bytes of pixels, expected {}",
                rest.empty() ? 0 : rest.size() - 1, expected);
  }
  return samples(rest.substr(1), {height, width, channels}, max_value).expand({height, width, 3});
}

std::string encode_ppm(const Tensor& pixels, const ImageText& /*text*/,
                       const ImageOptions& /*options*/) {
  std::string bytes = fmt::format("P6\n{} {}\n255\n", pixels.size(1), pixels.size(0));
  bytes.append(reinterpret_cast<const char*>(pixels.const_data_ptr<uint8_t>()),
               static_cast<size_t>(pixels.numel()));
  return bytes;
}

}  // namespace fourstep
