#include "support/golden.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <stdexcept>

namespace fourstep::testing {

namespace {

std::filesystem::path own_golden_dir() {
  return std::filesystem::path(FOURSTEP_SOURCE_DIR) / "tests" / "golden";
}

bool is_own_folder(const std::filesystem::path& dir) {
  return std::filesystem::equivalent(dir, own_golden_dir());
}

}  // namespace

std::filesystem::path golden_dir() {
  const char* dir = std::getenv("FOURSTEP_GOLDEN_DIR");
  return dir && *dir ? std::filesystem::path(dir) : own_golden_dir();
}

std::optional<nlohmann::json> load_golden(const std::string& file_name) {
  const auto dir = golden_dir();
  if (!std::filesystem::is_directory(dir)) {
    throw std::runtime_error(fmt::format("golden files: the folder {} is not there", dir.string()));
  }
  std::ifstream in(dir / file_name, std::ios::binary);
  if (!in) {
    if (!is_own_folder(dir)) return std::nullopt;
    throw std::runtime_error(fmt::format("golden files: tests/golden has no {}", file_name));
  }
  nlohmann::json golden = nlohmann::json::parse(in);
  if (golden.is_object() && !is_own_folder(dir)) {
    golden.emplace("cases", nlohmann::json::array());  // nothing where there are some
  }
  return golden;
}

void report_golden(const std::string& file_name, size_t checked, size_t skipped) {
  fmt::print("golden {}: {} cases checked, {} for later features\n", file_name, checked, skipped);
  if (checked > 0) return;
  if (is_own_folder(golden_dir())) {
    ADD_FAILURE() << "tests/golden/" << file_name << " has no case of this kind";
  } else {
    GTEST_SKIP() << file_name << " has no case of this kind";
  }
}

std::vector<double> numbers(const nlohmann::json& list) {
  std::vector<double> out;
  for (const auto& item : list) {
    if (item.is_number()) {
      out.push_back(item.get<double>());
      continue;
    }
    const std::string text = item.get<std::string>();
    const double inf = std::numeric_limits<double>::infinity();
    out.push_back(text == "inf" ? inf : text == "-inf" ? -inf : std::nan(""));
  }
  return out;
}

namespace {

template <typename Measure>
double max_error(std::span<const double> got, std::span<const double> expected, Measure measure) {
  if (got.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = measure(got[i], expected[i]);
    if (!(error <= worst))
      worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return worst;
}

}  // namespace

double max_relative_error(std::span<const double> got, std::span<const double> expected,
                          double floor) {
  return max_error(got, expected, [floor](double a, double b) {
    return a == b ? 0 : std::abs(a - b) / std::max(std::abs(b), floor);
  });
}

double max_absolute_error(std::span<const double> got, std::span<const double> expected) {
  return max_error(got, expected, [](double a, double b) { return a == b ? 0 : std::abs(a - b); });
}

std::vector<double> to_doubles(const Tensor& tensor) {
  const Tensor flat = tensor.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  const double* data = flat.const_data_ptr<double>();
  return {data, data + flat.numel()};
}

std::string decode_base64(const std::string& text) {
  static const std::string kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    const size_t value = kAlphabet.find(c);
    if (value == std::string::npos) throw std::invalid_argument("decode_base64: not base64");
    buffer = buffer << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<char>(buffer >> bits & 0xFF));
    }
  }
  return bytes;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "fourstep-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace fourstep::testing
