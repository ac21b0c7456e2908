#pragma once
// Where images go, and how they get there: what can go wrong is looked for before minutes of work,
// and what goes wrong all the same does not cost the image.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/image.h"

namespace fourstep {

/// Whether `out` is a folder: it ends in '/', exists as one, or is empty (the current one).
bool names_folder(const std::string& out);

/// FOLDER/STEM.ext, or FOLDER/STEM-2.ext and so on where that exists.
std::filesystem::path free_name(const std::filesystem::path& folder, const std::string& stem,
                                const std::string& extension);

/// The file for image `index` of `count`. out: a file name (several images get "-1", "-2", ...
/// before the extension) or a folder, see names_folder(). Names made up here are "<words of the
/// prompt>-<seed><extension>" (see file_words()) and never those of a file that exists; a name the
/// user gave is used as it is.
std::filesystem::path output_file(const std::string& out, const std::string& prompt, uint64_t seed,
                                  int64_t index, int64_t count,
                                  const std::string& extension = kPictureExtension);

/// An image that is going to be written.
struct PlannedImage {
  std::filesystem::path file;
  int64_t width = 0, height = 0;  ///< px
  ImageText text;
};

/// Throws what write_image() would throw for such an image: Error for a folder that is missing or
/// not writable, a name that is too long, a format that this build lacks or that has no images of
/// this size; InvalidRequest for another extension.
/// Returns a sentence for each text that the file will not hold.
std::vector<std::string> check_image_output(const PlannedImage& image);

/// About the bytes of the file: half of the pixels' own in PNG, an eighth in JPEG and WebP, as
/// photographs have them.
uint64_t expected_file_bytes(const PlannedImage& image);

/// write_image(). When that fails, the image goes to the system's folder for temporary files, and
/// the Error says so.
void write_or_rescue_image(const std::filesystem::path& file, const Image& image);

}  // namespace fourstep
