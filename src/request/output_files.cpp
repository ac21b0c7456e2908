#include "request/output_files.h"

#include <fmt/format.h>

#include "base/error.h"
#include "io/atomic_file.h"
#include "io/text_encoding.h"
#include "request/image_metadata.h"
#include "text/known_words.h"

namespace fourstep {

namespace fs = std::filesystem;

namespace {

std::string name_of_prompt(const std::string& prompt) {
  const std::string words = file_words(prompt);
  return words.empty() ? "image" : words;
}

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

fs::path free_name(const fs::path& folder, const std::string& stem, const std::string& extension) {
  fs::path file = folder / (stem + extension);
  std::error_code ignored;
  for (int copy = 2; fs::exists(file, ignored); ++copy) {
    file = folder / fmt::format("{}-{}{}", stem, copy, extension);
  }
  return file;
}

bool names_folder(const std::string& out) {
  std::error_code ignored;
  return out.empty() || out.back() == '/' || fs::is_directory(out, ignored);
}

fs::path output_file(const std::string& out, const std::string& prompt, uint64_t seed,
                     int64_t index, int64_t count, const std::string& extension) {
  if (names_folder(out))
    return free_name(out, fmt::format("{}-{}", name_of_prompt(prompt), seed), extension);
  if (count == 1) return out;
  const fs::path file = out;
  return file.parent_path() /
         fmt::format("{}-{}{}", file.stem().string(), index + 1, file.extension().string());
}

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
