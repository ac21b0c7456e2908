#include "pipeline/image_output.h"

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/text_fit.h"
#include "pipeline/image_metadata.h"
#include "pipeline/output_files.h"

namespace fourstep {

namespace fs = std::filesystem;

namespace {

/// Where the image is now; nothing when it could not be written there either.
std::optional<fs::path> rescue(const fs::path& file, const Image& image) {
  std::error_code failed;
  const fs::path folder = fs::temp_directory_path(failed);
  if (failed) return std::nullopt;
  const fs::path other = free_name(folder, "fourstep-rescued", file.extension().string());
  try {
    write_image(other, image);
    return other;
  } catch (const Error&) {
    return std::nullopt;  // the first failure is the one to tell
  }
}

}  // namespace

std::vector<std::string> check_image_output(const PlannedImage& image) {
  const ImageFormat format = image_format_of(image.file);
  try {
    check_image_format(format, image.width, image.height);
  } catch (const Error& error) {
    throw InvalidRequest("\"{}\": {}", image.file.string(), error.what());
  }
  check_writable(image.file);
  return left_out_notices(fit_text(image.text, format));
}

uint64_t expected_file_bytes(const PlannedImage& image) {
  const auto pixel_bytes = static_cast<uint64_t>(3 * image.width * image.height);
  switch (image_format_of(image.file)) {
    case ImageFormat::kPpm:
      return pixel_bytes;
    case ImageFormat::kPng:
      return pixel_bytes / 2;
    default:
      return pixel_bytes / 8;
  }
}

void write_or_rescue_image(const fs::path& file, const Image& image) {
  try {
    write_image(file, image);
  } catch (const Error& error) {
    const auto other = rescue(file, image);
    if (!other) throw;
    throw Error("{}; the image is in \"{}\" instead", error.what(), other->string());
  }
}

}  // namespace fourstep
