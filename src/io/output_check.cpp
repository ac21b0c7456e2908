#include "io/output_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "io/weight_files.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;

/// Whether reading `input` reads the file `output`: it is the same, another shard of it, or lies in it.
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
