#pragma once
// Small things about text that many folders need.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

// UTF-8 to code points and back.

/// Code points of a UTF-8 text. Each maximal ill-formed part becomes one U+FFFD, so any bytes are
/// accepted.
std::u32string decode_utf8(std::string_view bytes);

/// Appends one code point (no surrogate, at most U+10FFFF) as UTF-8.
void append_utf8(std::string& out, char32_t c);

/// Without blanks, tabs and line ends around it.
std::string trimmed(std::string_view text);

/// The finite number that `text` is as a whole; blanks around it and a plus sign are allowed.
std::optional<double> finite_number(std::string_view text);

/// With the letters A to Z in lower case.
std::string lower_ascii(std::string_view text);

/// For messages: "a, b, c and 7 more".
std::string join_first(const std::vector<std::string>& names);

// "Did you mean": the known names that a mistyped one is most like.

/// Levenshtein's distance. Longer texts are compared in their first 64 bytes.
size_t edit_distance(std::string_view a, std::string_view b);

/// "a", "a or b", "a, b or c".
std::string joined_with_or(const std::vector<std::string>& names);

/// The `count` names of `known` that are most like `name`, the likest first; letters in both cases
/// are the same, and a name that begins with the other one is likelier than its distance says. Each
/// name once.
std::vector<std::string> nearest_of(std::string_view name, const std::vector<std::string>& known,
                                    size_t count = 3);

/// For messages: "; did you mean a, b or c?". Empty when nothing is known.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace fourstep
