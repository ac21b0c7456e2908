#include "text/weight_slips.h"

#include "base/fields.h"
#include "base/text_tools.h"

namespace fourstep {

std::optional<WeightSlip> find_weight_slip(std::string_view prompt) {
  for (size_t close = prompt.find(')'); close != std::string_view::npos;
       close = prompt.find(')', close + 1)) {
    const size_t start = prompt.substr(0, close).find_last_of(":()[]");
    if (start == std::string_view::npos || prompt[start] != ':') continue;
    const std::string hint = number_hint(trimmed(prompt.substr(start + 1, close - start - 1)));
    if (!hint.empty()) {
      return WeightSlip{std::string(prompt.substr(start, close - start + 1)), hint};
    }
  }
  return std::nullopt;
}

}  // namespace fourstep
