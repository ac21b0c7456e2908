#pragma once
// Words of a prompt: those that a model of a small world has never seen (its file says which words
// its captions had), and those that name a file.

#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// Of a model file's metadata: the words, with blanks between them.
constexpr const char* kKnownWordsKey = "fourstep.words";

/// The words of `prompt` that `known` (words between blanks) has not, each once, in the prompt's
/// order, lower case. Words end at blanks and punctuation other than hyphens and apostrophes;
/// numbers are no words.
std::vector<std::string> unknown_words(const std::string& prompt, const std::string& known);

// Words of a prompt as part of a file name, in the characters that the user wrote.

/// The first words of `text` (UTF-8; other bytes count as signs), joined by '-': letters and digits
/// of all scripts with their marks, and emoji. Everything else becomes one '-' between words:
/// blanks, punctuation, and with them all that Windows forbids in names, path separators, control
/// characters. Characters that show nothing (direction marks, zero-width ones, soft hyphens) are
/// dropped, but for those inside an emoji. Composed (NFC) in builds with ICU. At most 40 characters
/// and 100 bytes, so that a seed, a number and an extension fit behind it on every file system (255
/// bytes, 143 on eCryptfs); cut between characters as people see them. Empty when there are no
/// words.
std::string file_words(std::string_view text);

}  // namespace fourstep
