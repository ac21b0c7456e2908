#pragma once
// Where images go.

#include <cstdint>
#include <filesystem>
#include <string>

namespace fourstep {

/// The file for image `index` of `count`. out: a file name (several images get "-1", "-2", ... before the
/// extension), a folder (ends in '/' or exists), or empty for the current folder. Names made up here are
/// "<words of the prompt>-<seed>.png" and never those of a file that exists; a name the user gave is used
/// as it is.
std::filesystem::path output_file(const std::string& out, const std::string& prompt, uint64_t seed,
                                  int64_t index, int64_t count);

}  // namespace fourstep
