#pragma once
// Weights in prompts that are not written as the grammar has them, and so would be drawn as words.

#include <optional>
#include <string>
#include <string_view>

namespace fourstep {

struct WeightSlip {
  std::string text;  ///< ":1,2)" of "(cat:1,2)"
  std::string hint;  ///< number_hint(): " (write 1.2 with a point)"
};

/// The first weight in round brackets with a decimal comma, a percent sign or the like.
std::optional<WeightSlip> find_weight_slip(std::string_view prompt);

}  // namespace fourstep
