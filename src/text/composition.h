#pragma once
// "a cat AND a dog :0.5": several prompts that act on one picture, each with a weight of its own.

#include <string_view>
#include <vector>

#include "text/emphasis.h"

namespace fourstep {

/// The parts between the words AND, at least one. A part may end in " :weight", so a whole prompt may too;
/// blanks at the end of a part do not belong to it. Takes any bytes and never fails.
/// Source: the behaviour of A1111's and Forge's `get_multicond_prompt_list`.
std::vector<WeightedText> parse_composition(std::string_view prompt);

}  // namespace fourstep
