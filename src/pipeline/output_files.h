#pragma once
// Where images go.

#include <cstdint>
#include <filesystem>
#include <string>

#include "io/image.h"

namespace fourstep {

/// Whether `out` is a folder: it ends in '/', exists as one, or is empty (the current one).
bool names_folder(const std::string& out);

/// FOLDER/STEM.ext, or FOLDER/STEM-2.ext and so on where that exists.
std::filesystem::path free_name(const std::filesystem::path& folder, const std::string& stem,
                                const std::string& extension);

/// The file for image `index` of `count`. out: a file name (several images get "-1", "-2", ... before the
/// extension) or a folder, see names_folder(). Names made up here are "<words of the prompt>-<seed><extension>" (see file_words()) and
/// never those of a file that exists; a name the user gave is used as it is.
std::filesystem::path output_file(const std::string& out, const std::string& prompt, uint64_t seed,
                                  int64_t index, int64_t count,
                                  const std::string& extension = kPictureExtension);

}  // namespace fourstep
