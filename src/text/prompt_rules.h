#pragma once
// Whose grammar, chunks and weights a prompt is read with.

#include <string>
#include <string_view>

#include "base/dialect.h"
#include "text/chunks.h"
#include "text/textual_inversion.h"

namespace fourstep {

enum class PromptSyntax {
  kPlain,  ///< every character is text: diffusers
  /// weights, BREAK, AND, schedules, <lora:...>: A1111, Forge and this program's own dialect
  kA1111,
  kComfy,  ///< weights in round brackets and "embedding:name"
};

struct PromptRules {
  PromptSyntax syntax = PromptSyntax::kPlain;
  ChunkRule chunks = ChunkRule::kWholeParts;
  EmphasisRule emphasis = EmphasisRule::kIgnore;
  Cleaning cleaning = Cleaning::kNfc;
  bool bang_in_second = false;  ///< TokenizerOptions::bang_special for the second encoder
};

/// This program's own dialect reads A1111's grammar with A1111's "No norm". emphasis: "original",
/// "no_norm", "comfyui", "ignore", or "auto" for the dialect's own. Throws InvalidRequest listing
/// them for another word.
PromptRules prompt_rules(Dialect dialect, const std::string& emphasis = "auto");

/// How an encoder's tokenizer treats text; encoder: 0 for the first.
TokenizerOptions tokenizer_options(const PromptRules& rules, size_t encoder);

/// The tokens of a prompt, without AND, schedules and network tags, which are taken apart before.
/// inversions: may be null; encoder: which one the tokens are for, 0 for the first.
std::vector<TokenPart> tokenize_prompt(const Tokenizer& tokenizer, std::string_view prompt,
                                       const PromptRules& rules,
                                       const InversionTable* inversions = nullptr,
                                       size_t encoder = 0);

/// Whether some part of the prompt has a weight other than 1.
bool has_weights(std::string_view prompt, PromptSyntax syntax);

/// The words of a prompt without the signs of its grammar; for messages and file names.
std::string plain_words(std::string_view prompt, PromptSyntax syntax);

}  // namespace fourstep
