#include "pipeline/output_files.h"

#include <fmt/format.h>

#include "text/file_words.h"

namespace fourstep {

namespace fs = std::filesystem;

namespace {

std::string name_of_prompt(const std::string& prompt) {
  const std::string words = file_words(prompt);
  return words.empty() ? "image" : words;
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

}  // namespace fourstep
