#include "io/output_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace fourstep {

void check_output(const std::filesystem::path& output,
                  const std::vector<std::filesystem::path>& inputs,
                  std::initializer_list<const char*> extensions) {
  for (const std::filesystem::path& input : inputs) {
    std::error_code missing;
    if (!std::filesystem::equivalent(input, output, missing) || missing) continue;
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
  throw InvalidRequest("\"{}\" needs {} MB and its disk has {} MB left; free some", output.string(),
                       num_bytes >> 20, space.available >> 20);
}

}  // namespace fourstep
