#pragma once
// Textual inversions ("embeddings"): learned vectors that stand in a prompt under a name.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "text/bpe.h"
#include "text/chunks.h"

namespace fourstep {

/// The names that a prompt may use, and how to get what they stand for.
struct InversionTable {
  std::vector<std::string>
      names;  ///< without extension, with the sub-folder ("people/ann") if there is one
  /// The vectors of one encoder, [n,width] with n > 0. index: of the name; encoder: 0 for the first
  /// one.
  /// Throws Error when the file cannot be read or does not fit the model.
  std::function<Tensor(size_t index, size_t encoder)> vectors;
};

/// The tokens of a text in which the names of the table count as words, as A1111 and Forge have it:
/// a name's own tokens are looked for, the longest first, so upper and lower case are one.
/// Sub-folders do not count.
std::vector<TokenPart> tokenize_with_names(const PromptTokenizer& tokenizer, std::string_view text,
                                           double weight, const InversionTable& table,
                                           size_t encoder);

/// The tokens of a text in which "embedding:name" behind a blank, a line end or nothing stands for
/// vectors, as ComfyUI has it: the name ends at a blank, or before a comma. An extension is
/// allowed, case counts for nothing.
/// Throws InvalidRequest for a name that is not in the table.
std::vector<TokenPart> tokenize_with_references(const PromptTokenizer& tokenizer,
                                                std::string_view text, double weight,
                                                const InversionTable& table, size_t encoder);

/// Whether the text has an "embedding:" of ComfyUI's.
bool has_inversion_reference(std::string_view text);

}  // namespace fourstep
