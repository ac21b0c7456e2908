#pragma once
// Models of a small world say in their file which words their captions had.

#include <string>
#include <vector>

namespace fourstep {

/// Of a model file's metadata: the words, with blanks between them.
constexpr const char* kKnownWordsKey = "fourstep.words";

/// The words of `prompt` that `known` (words between blanks) has not, each once, in the prompt's order, lower case. Words end
/// at blanks and punctuation other than hyphens and apostrophes; numbers are no words.
std::vector<std::string> unknown_words(const std::string& prompt, const std::string& known);

}  // namespace fourstep
