#pragma once
// Writing of images that took minutes to make: what can go wrong is looked for before, and what goes wrong all the same
// does not cost the image.

#include <filesystem>
#include <string>
#include <vector>

#include "io/image.h"

namespace fourstep {

/// An image that is going to be written.
struct PlannedImage {
  std::filesystem::path file;
  int64_t width = 0, height = 0;  ///< px
  ImageText text;
};

/// Throws what write_image() would throw for such an image: Error for a folder that is missing or not writable, a name that
/// is too long, a format that this build lacks or that has no images of this size; InvalidRequest for another extension.
/// Returns a sentence for each text that the file will not hold.
std::vector<std::string> check_image_output(const PlannedImage& image);

/// About the bytes of the file: half of the pixels' own in PNG, an eighth in JPEG and WebP, as photographs have them.
uint64_t expected_file_bytes(const PlannedImage& image);

/// write_image(). When that fails, the image goes to the system's folder for temporary files, and the Error says so.
void write_or_rescue_image(const std::filesystem::path& file, const Image& image);

}  // namespace fourstep
