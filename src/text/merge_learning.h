#pragma once
// A byte-pair vocabulary for a model that is trained from nothing.

#include <span>
#include <string>

namespace fourstep {

/// Merges, most important first, in the form that Tokenizer reads: after them each of `words` is one token, as
/// long as there are at most max_merges. words: lower case, without blanks; bytes outside ASCII letters, digits and
/// punctuation are left unmerged. Pairs of equal count are taken in alphabetical order.
/// Source: Sennrich et al. 2016 (1508.07909), algorithm 1, with CLIP's mark for the end of a word.
std::string learn_merges(std::span<const std::string> words, int64_t max_merges = 48894);

}  // namespace fourstep
