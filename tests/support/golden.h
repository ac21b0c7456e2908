#pragma once
// Access to golden files: numbers that reference programs produced. They are read from
// tests/golden, or from the folder that the environment variable FOURSTEP_GOLDEN_DIR names, so that
// cases unknown to this repository can be run through the same tests.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep::testing {

std::filesystem::path golden_dir();

/// The parsed file, or nothing when the folder of FOURSTEP_GOLDEN_DIR lacks it (then GTEST_SKIP()).
/// A file of that folder without "cases" has none.
/// Throws when that folder or a file of tests/golden itself is not there, or is not JSON.
std::optional<nlohmann::json> load_golden(const std::string& file_name);

/// The end of a test: prints "golden <file>: <checked> cases checked, <skipped> for later
/// features". With none checked the test fails in tests/golden and counts as skipped in the folder
/// of FOURSTEP_GOLDEN_DIR, which may lack a kind.
void report_golden(const std::string& file_name, size_t checked, size_t skipped);

/// The numbers of a JSON list; the strings "nan", "inf", "-inf" are read as such.
std::vector<double> numbers(const nlohmann::json& list);

/// max |a-b| / max(|b|, floor) over all elements; infinity when the lengths differ.
double max_relative_error(std::span<const double> got, std::span<const double> expected,
                          double floor = 1e-12);
/// max |a-b|; infinity when the lengths differ.
double max_absolute_error(std::span<const double> got, std::span<const double> expected);

/// The elements of a tensor as doubles, row-major.
std::vector<double> to_doubles(const Tensor& tensor);

/// Bytes of a base64 text (standard alphabet, padding optional).
std::string decode_base64(const std::string& text);

/// A new folder under the system's temporary folder, removed with all its content at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace fourstep::testing
