#pragma once
// Prompts that change while the image is made: "[cat:dog:0.5]", "[with a hat:4]", "[cat::4]",
// "[cat|dog]".

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// The calls of the network that numbers in a prompt refer to.
struct PromptClock {
  int64_t steps = 0;                        ///< of the first pass
  std::optional<int64_t> hires_steps = {};  ///< set: the prompt is read for this second pass
  bool old_rule = false;  ///< numbers below 1 are shares and all others steps, in both passes
};

/// A text and the last call, counted from 0, at which it holds.
struct ScheduledText {
  int64_t last_call = 0;
  std::string text;
};

/// [a:b:n] is a up to n and b afterwards; [b:n] and [a::n] leave one of the two out; [a|b|c]
/// changes at every call. n with a dot is a share of the steps, without one a step; in the second
/// pass shares from 1 to 2 and steps beyond the first pass count. All can be nested. Square
/// brackets of another form stay for parse_a1111_emphasis(). A prompt that the grammar does not
/// take (a "|" or a lone backslash outside, more than 200 levels) holds unchanged for all steps.
/// Returns rising last_calls, of which the last is the number of steps: a text that "ends at 3" is
/// still there at call 3. Takes any bytes and never fails.
/// Source: the behaviour of A1111's and Forge's `get_learned_conditioning_prompt_schedules`.
std::vector<ScheduledText> parse_prompt_schedule(std::string_view prompt, const PromptClock& clock);

}  // namespace fourstep
