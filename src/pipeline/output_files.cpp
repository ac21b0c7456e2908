#include "pipeline/output_files.h"

#include <fmt/format.h>

namespace fourstep {

namespace fs = std::filesystem;

namespace {

/// The first letters and digits of the prompt, words joined by '-'; bytes beyond ASCII are left out.
std::string slug_of(const std::string& prompt) {
  constexpr size_t kLongest = 40;
  std::string slug;
  for (const char c : prompt) {
    const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_word) {
      slug += c;
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
    if (slug.size() >= kLongest) break;
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? "image" : slug;
}

fs::path free_name(const fs::path& folder, const std::string& stem, const std::string& extension) {
  fs::path file = folder / (stem + extension);
  for (int copy = 2; fs::exists(file); ++copy) {
    file = folder / fmt::format("{}-{}{}", stem, copy, extension);
  }
  return file;
}

}  // namespace

bool names_folder(const std::string& out) {
  std::error_code ignored;
  return out.empty() || out.back() == '/' || fs::is_directory(out, ignored);
}

fs::path output_file(const std::string& out, const std::string& prompt, uint64_t seed,
                     int64_t index, int64_t count, const std::string& extension) {
  if (names_folder(out))
    return free_name(out, fmt::format("{}-{}", slug_of(prompt), seed), extension);
  if (count == 1) return out;
  const fs::path file = out;
  return file.parent_path() /
         fmt::format("{}-{}{}", file.stem().string(), index + 1, file.extension().string());
}

}  // namespace fourstep
