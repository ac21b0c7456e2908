#pragma once
// CLIP's byte-pair tokenizer: prompt text to vocabulary ids.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/cleaning.h"

namespace fourstep {

/// Whose rules a text becomes words by.
struct TokenizerOptions {
  Cleaning cleaning = Cleaning::kNfc;
  /// "!" is cut out as a token of its own, id 0, as the `tokenizer_2` folder of SDXL makes
  /// diffusers do.
  bool bang_special = false;
};

/// Immutable after construction: any number of threads may call encode() at once.
/// Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
/// Supervision", and OpenAI's CLIP program; byte-pair encoding by Sennrich et al. 2016
/// (1508.07909).
class Tokenizer {
 public:
  /// merges_text: OpenAI's `bpe_simple_vocab_16e6.txt` (of which the first 48,894 merges count),
  /// diffusers' `merges.txt`, or a smaller list of the same form: an optional line with "#version",
  /// then one merge "left right" per line, most important first, in the byte alphabet of GPT-2.
  /// Ids: 256 bytes, 256 bytes that end a word, the merges in order, start, end.
  /// what: the file to name in messages. Throws Error naming the first line that is no merge of
  /// tokens known before it.
  Tokenizer(std::string_view merges_text, const std::string& what);

  /// The ids of a prompt, of any length, without start and end. Never fails: ill-formed UTF-8
  /// counts as U+FFFD. The literal texts "<|startoftext|>" and "<|endoftext|>" give their ids; in
  /// capital letters, and with OpenAI's cleaning, where a word begins alone (behind symbols without
  /// a blank they are symbols too).
  std::vector<int64_t> encode(std::string_view prompt, TokenizerOptions options = {}) const;

  /// How the vocabulary spells a token: in the byte alphabet of GPT-2, "</w>" where it ends a word,
  /// as in diffusers' `vocab.json`. Throws Error for an id outside of the vocabulary.
  std::string token_text(int64_t id) const;

  /// What a token stands for, without the mark of a word's end: text, or part of a UTF-8 sequence.
  /// Throws as token_text().
  std::string token_bytes(int64_t id) const;

  int64_t vocab_size() const { return num_merges_ + 514; }
  int64_t bos_id() const { return num_merges_ + 512; }
  int64_t eos_id() const { return num_merges_ + 513; }
  /// The id of "," as a word: 267 in every vocabulary.
  int64_t comma_id() const;

 private:
  struct Merge {
    int64_t rank;  ///< smaller is merged first
    int64_t id;    ///< of the joined token
  };

  const Merge* find_merge(int64_t left, int64_t right) const;
  std::vector<int64_t> encode_word(std::string_view utf8) const;
  void append_ids(std::vector<int64_t>& ids, std::u32string_view text, bool bang_special) const;

  int64_t num_merges_ = 0;
  std::vector<std::string> token_texts_;        ///< by id, without start and end
  std::unordered_map<uint64_t, Merge> merges_;  ///< key: left id << 32 | right id
};

/// A tokenizer, which must outlive it, with the rules of a program.
struct PromptTokenizer {
  // Not explicit: a tokenizer alone stands for itself with the usual rules.
  PromptTokenizer(const Tokenizer& vocabulary, TokenizerOptions rules = {})  // NOLINT
      : tokenizer(vocabulary), options(rules) {}

  std::vector<int64_t> encode(std::string_view prompt) const {
    return tokenizer.encode(prompt, options);
  }

  const Tokenizer& tokenizer;
  TokenizerOptions options;
};

// A byte-pair vocabulary for a model that is trained from nothing.

/// Merges, most important first, in the form that Tokenizer reads: after them each of `words` is
/// one token, as long as there are at most max_merges. words: lower case, without blanks; bytes
/// outside ASCII letters, digits and punctuation are left unmerged. Pairs of equal count are taken
/// in alphabetical order.
/// Source: Sennrich et al. 2016 (1508.07909), algorithm 1, with CLIP's mark for the end of a word.
std::string learn_merges(std::span<const std::string> words, int64_t max_merges = 48894);

}  // namespace fourstep
