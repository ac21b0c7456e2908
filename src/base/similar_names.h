#pragma once
// "Did you mean": the known names that a mistyped one is most like.

#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// Levenshtein's distance. Longer texts are compared in their first 64 bytes.
size_t edit_distance(std::string_view a, std::string_view b);

/// "a", "a or b", "a, b or c".
std::string joined_with_or(const std::vector<std::string>& names);

/// The `count` names of `known` that are most like `name`, the likest first; letters in both cases are the same, and a
/// name that begins with the other one is likelier than its distance says. Each name once.
std::vector<std::string> nearest_of(std::string_view name, const std::vector<std::string>& known,
                                    size_t count = 3);

/// For messages: "; did you mean a, b or c?". Empty when nothing is known.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace fourstep
