#pragma once
// Random parts of prompts: "{a|b}", "{2$$a|b|c}", "__name__", "${name=value}". What is chosen
// follows from a seed alone.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// The options of "__name__", one of which takes its place; each may begin with a weight, as in
/// "{3::a|b}". Names may have blanks in them, and "*", "?" and "[...]" for several lists.
using WildcardOptions = std::function<std::vector<std::string>(const std::string& name)>;

struct WildcardSeed {
  uint64_t seed = 0;  ///< of the image
  uint32_t stream =
      0;  ///< which of its prompts: equal texts of different streams choose independently
};

/// Whether expand_wildcards() would change anything. with_names: "__name__" counts.
bool has_wildcards(std::string_view prompt, bool with_names);

/// The name of the first "__name__"; empty when there is none. Throws as expand_wildcards().
std::string first_wildcard_name(std::string_view prompt);

/// Replaces
///   "{a|b|c}" by one of its options, of equal weight or of that before "::" ("{3::a|b}": a three
/// times in four),
///   "{2$$a|b|c}", "{1-2$$...}", "{2-$$...}", "{-2$$...}" by that many different ones in random
/// order, joined by a comma or
///     what stands in "{2$$ and $$a|b|c}"; "{2$$__name__}" takes them from one list,
///   "__name__" by one of options(name),
///   "${name=value}" by nothing and "${name}" by the value, chosen anew at each use, or once with
/// "=!"; "?=" in a
///     list keeps the prompt's value; "${name:other}" needs none.
/// All may stand inside of each other, but values are set outside of choices. Braces without "|" or
/// a number and braces after a backslash are text. options: empty function: "__name__" is text.
/// Choices are made from left to right with the numbers of philox_words(seed, stream, 0, 1, ...),
/// whichever options are taken before; how many options are taken is a choice of its own where it
/// is not fixed.
/// Throws InvalidRequest when choices are nested deeper than 32, more than 10,000 (so for uses of
/// variables), or the text grows beyond 64 KiB: a file of options that names itself does all that.
/// It throws too for a variable without a value, and for what else Dynamic Prompts knows:
/// "%{...$$...}", "{@a|b}", "{!a|b}", "__@name__", "__!name__", "__name(a=b)__".
/// Source: the grammar of sd-dynamic-prompts (dynamicprompts 0.31.0) and of ComfyUI, by their
/// results; weights of lists are this program's own.
std::string expand_wildcards(std::string_view prompt, const WildcardSeed& seed,
                             const WildcardOptions& options);

}  // namespace fourstep
