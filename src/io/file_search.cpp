#include "io/file_search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

#include "base/error.h"
#include "base/text_tools.h"
#include "io/weight_files.h"

namespace fourstep {

namespace fs = std::filesystem;

namespace {

bool has_extension(const fs::path& path, const std::vector<std::string>& extensions) {
  const std::string extension = lower_ascii(path.extension().string());
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

void add_folder(const fs::path& folder, const std::vector<std::string>& extensions, int depth,
                std::vector<NamedFile>& files) {
  using Walk = fs::recursive_directory_iterator;
  std::error_code ignored;  // a file that cannot be looked at is not found
  const auto options = fs::directory_options::follow_directory_symlink |
                       fs::directory_options::skip_permission_denied;
  const auto first = static_cast<std::ptrdiff_t>(files.size());
  for (Walk walk(folder, options, ignored); walk != Walk(); walk.increment(ignored)) {
    if (walk.depth() >= depth) walk.disable_recursion_pending();
    const fs::path& path = walk->path();
    if (!has_extension(path, extensions) || !walk->is_regular_file(ignored)) continue;
    fs::path name = path.lexically_relative(folder);
    files.push_back({path, name.replace_extension().generic_string()});
  }
  std::sort(files.begin() + first, files.end(),
            [](const NamedFile& a, const NamedFile& b) { return a.name < b.name; });
}

std::string_view without_folder(std::string_view name) { return name.substr(name.rfind('/') + 1); }

/// How well a file answers to a name; 0: not at all.
int agreement(const NamedFile& file, std::string_view name) {
  const std::string extension = file.path.extension().string();
  const auto is = [&](std::string_view known, std::string_view wanted, std::string_view ending) {
    return wanted == known || (wanted.size() == known.size() + ending.size() &&
                               wanted.starts_with(known) && wanted.ends_with(ending));
  };
  if (is(file.name, name, extension)) return 4;
  if (is(without_folder(file.name), name, extension)) return 3;
  const std::string known = lower_ascii(file.name), wanted = lower_ascii(name);
  const std::string ending = lower_ascii(extension);
  if (is(known, wanted, ending)) return 2;
  return is(without_folder(known), wanted, ending) ? 1 : 0;
}

}  // namespace

void check_folders(const std::vector<std::string>& folders, const char* flag) {
  for (const std::string& folder : folders) {
    std::error_code ignored;
    if (fs::is_directory(folder, ignored)) continue;
    throw InvalidRequest("{} {}: there is no such folder", flag, folder);
  }
}

std::vector<NamedFile> list_files(const std::vector<std::string>& folders,
                                  const std::vector<std::string>& extensions, const char* flag,
                                  int depth) {
  check_folders(folders, flag);
  std::vector<NamedFile> files;
  for (const std::string& folder : folders) add_folder(folder, extensions, depth, files);
  return files;
}

const NamedFile* find_named(const std::vector<NamedFile>& files, std::string_view name) {
  const NamedFile* best = nullptr;
  int best_agreement = 0;
  for (const NamedFile& file : files) {
    const int agrees = agreement(file, name);
    if (agrees > best_agreement) best = &file;
    best_agreement = std::max(agrees, best_agreement);
  }
  return best;
}

std::string nearest_names(const std::vector<NamedFile>& files, std::string_view name) {
  constexpr size_t kShown = 3;
  const std::string wanted = lower_ascii(without_folder(name));
  std::vector<std::pair<size_t, std::string>> names;
  for (const NamedFile& file : files) {
    const std::string known = lower_ascii(without_folder(file.name));
    names.emplace_back(edit_distance(known, wanted), file.name);
  }
  const size_t shown = std::min(kShown, names.size());
  std::partial_sort(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), names.end());
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    text += fmt::format("{}{}", i == 0 ? "; nearest: " : ", ", names[i].second);
  }
  return text;
}

namespace {

namespace fs = std::filesystem;

/// Whether reading `input` reads the file `output`: it is the same, another shard of it, or lies in
/// it.
bool reads(const fs::path& input, const fs::path& output) {
  std::error_code missing;
  if (fs::equivalent(input, output, missing) && !missing) return true;
  const fs::path full = fs::weakly_canonical(output, missing);
  if (missing || !fs::exists(full)) return false;
  const fs::path folder = fs::weakly_canonical(input, missing);
  if (fs::is_directory(folder, missing)) {
    return std::mismatch(folder.begin(), folder.end(), full.begin(), full.end()).first ==
           folder.end();
  }
  const auto a = shard_name(folder.filename().string()), b = shard_name(full.filename().string());
  return a && b && folder.parent_path() == full.parent_path() && a->before == b->before &&
         a->after == b->after && a->count == b->count;
}

}  // namespace

void check_output(const std::filesystem::path& output,
                  const std::vector<std::filesystem::path>& inputs,
                  std::initializer_list<const char*> extensions) {
  for (const std::filesystem::path& input : inputs) {
    if (!reads(input, output)) continue;
    throw InvalidRequest("\"{}\" is one of the files that are read; name another output",
                         output.string());
  }
  const bool is_named_so =
      std::any_of(extensions.begin(), extensions.end(),
                  [&](const char* extension) { return output.extension() == extension; });
  if (is_named_so) return;
  throw InvalidRequest("\"{}\": the output's name must end with {}", output.string(),
                       fmt::join(extensions, " or "));
}

void check_space(const std::filesystem::path& output, uint64_t num_bytes) {
  std::error_code error;
  const std::filesystem::path folder = output.has_parent_path() ? output.parent_path() : ".";
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (error || space.available >= num_bytes) return;
  constexpr double kMiB = 1 << 20;
  throw InvalidRequest("\"{}\" needs {:.1f} MB and its disk has {:.1f} MB left; free some",
                       output.string(), static_cast<double>(num_bytes) / kMiB,
                       static_cast<double>(space.available) / kMiB);
}

}  // namespace fourstep
