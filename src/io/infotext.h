#pragma once
// The A1111 "infotext": prompt, negative prompt and settings as one text, the field's common
// language for how an image was made. Source of the rules: the shared specification of formats,
// 7.1; behaviour of A1111 1.10 and Forge, except that JSON values are kept whole.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fourstep {

struct Infotext {
  std::string prompt;
  std::string negative_prompt;
  std::vector<std::pair<std::string, std::string>> fields;  ///< file order, each key once

  /// The value of `key`, or nullptr.
  const std::string* find(std::string_view key) const;
};

/// The last line is taken as settings when at least three pairs are found in it, else as text.
/// Lines lose leading and trailing blanks; of a key given twice the later value stands at the
/// earlier place; "key: value" pairs may be separated by anything. Never throws: any text is at
/// least a prompt.
Infotext parse_infotext(std::string_view text);

/// Fields in A1111's write order (unknown keys keep their order, between the known ones and
/// "Version"). A value is quoted as JSON when it holds a comma, a colon or a line break, has a
/// quote or blanks at its edge or begins with an unclosed bracket; the JSON of "Hashes", "Civitai
/// resources" and "Civitai metadata" stays as it is. Fields with an empty value are left out, and
/// of a field whose value equals its key only the key is written (A1111). parse_infotext() gives
/// the same back, except for those two kinds of fields, fewer than three fields, blanks at the ends
/// of prompt lines, and prompts that hold a line "Negative prompt:".
/// Throws Error for a key that could not be read back: it needs two or more characters out of
/// letters, digits, "_", "-", "/" and blanks, the first a letter, digit or "_".
std::string format_infotext(const Infotext& infotext);

}  // namespace fourstep
