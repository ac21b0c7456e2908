#pragma once
// guidance.json: its cases are checked by the tests of the folder that has the formula, each by its name.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>

#include "support/golden.h"

namespace fourstep::testing {

/// {"shape": [...], "data": [...]} in fp64.
inline Tensor golden_tensor(const nlohmann::json& value) {
  return torch::tensor(numbers(value.at("data")), torch::kFloat64)
      .view(value.at("shape").get<Shape>());
}

/// max |got - expected|; infinity for another shape.
inline double golden_error(const Tensor& got, const nlohmann::json& expected) {
  if (got.sizes() != golden_tensor(expected).sizes()) {
    return std::numeric_limits<double>::infinity();
  }
  return max_absolute_error(to_doubles(got), numbers(expected.at("data")));
}

/// The error of one case.
using GuidanceCheck = std::function<double(const nlohmann::json& one)>;

/// Runs the check of each case's name; cases of other names count as skipped. 1e-9: all is computed in fp64, the
/// file's numbers have 15 digits or more.
inline void check_guidance_cases(const std::map<std::string, GuidanceCheck>& checks) {
  const auto golden = load_golden("guidance.json");
  if (!golden) GTEST_SKIP() << "guidance.json is not there";
  size_t checked = 0, skipped = 0;
  for (const auto& one : golden->at("cases")) {
    const auto found = checks.find(one.at("name"));
    if (found == checks.end()) {
      ++skipped;
      continue;
    }
    EXPECT_LE(found->second(one), 1e-9) << found->first << ", case " << checked + skipped;
    ++checked;
  }
  report_golden("guidance.json", checked, skipped);
}

}  // namespace fourstep::testing
