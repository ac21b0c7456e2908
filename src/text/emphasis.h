#pragma once
// Weights in prompts: "(more:1.3)". Two programs, two grammars: what the same text means differs
// between them. Both parsers take any bytes, never fail, and need time in proportion to the length
// of the prompt.

#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

struct WeightedText {
  std::string text;
  double weight = 1;
  bool operator==(const WeightedText&) const = default;
};

/// (t) times 1.1, [t] divided by 1.1, (t:w) times w, nested ones multiplied; a backslash before ( )
/// [ ] \ takes their meaning away. Brackets that are never closed act up to the end, those never
/// opened are text. The word BREAK becomes a part of its own, see is_break(). Neighbours of equal
/// weight are one part; an empty prompt is one empty part. Brackets nested deeper than 256 do not
/// weigh.
/// Source: the behaviour of A1111's and Forge's `parse_prompt_attention`.
std::vector<WeightedText> parse_a1111_emphasis(std::string_view prompt);

/// Whether a part of parse_a1111_emphasis() means: go on in a new chunk. Inside of weighted
/// brackets the word gets another weight and is text, as there.
bool is_break(const WeightedText& part);

/// (t) times 1.1, (t:w) sets w, whatever weight is around it; \( and \) are text, and so are square
/// brackets, BREAK and AND. What follows a bracket that is never closed is text. Empty parts are
/// left out.
/// Source: the behaviour of ComfyUI's `token_weights`.
std::vector<WeightedText> parse_comfy_emphasis(std::string_view prompt);

}  // namespace fourstep
