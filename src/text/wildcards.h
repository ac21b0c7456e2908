#pragma once
// Random parts of prompts: "{a|b}" and "__name__". What is chosen follows from a seed alone.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// The options of "__name__", one of which takes its place; each may begin with a weight, as in "{3::a|b}".
using WildcardOptions = std::function<std::vector<std::string>(const std::string& name)>;

struct WildcardSeed {
  uint64_t seed = 0;  ///< of the image
  uint32_t stream =
      0;  ///< which of its prompts: equal texts of different streams choose independently
};

/// Whether expand_wildcards() would choose anything. with_names: "__name__" counts.
bool has_wildcards(std::string_view prompt, bool with_names);

/// Replaces "{a|b|c}" by one of its options, of equal weight or of that before "::" ("{3::a|b}": a three times in
/// four), and "__name__" by one of options(name); names consist of letters, digits and - _ / . only. Both may
/// stand inside of each other. Braces without "|" and braces after a backslash are text. options: empty
/// function: "__name__" is text.
/// Choices are made from left to right with the numbers of philox_words(seed, stream, 0, 1, ...), whichever
/// options are taken before.
/// Throws InvalidRequest when choices are nested deeper than 32, more than 10,000, or the text grows beyond
/// 64 KiB: a file of options that names itself does all that.
std::string expand_wildcards(std::string_view prompt, const WildcardSeed& seed,
                             const WildcardOptions& options);

}  // namespace fourstep
