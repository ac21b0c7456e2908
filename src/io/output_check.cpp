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

}  // namespace fourstep
