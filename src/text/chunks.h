#pragma once
// A prompt as the encoders take it: rows of 77 ids, each with start and end, and a weight for every
// token.

#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "text/bpe.h"
#include "text/clip.h"

namespace fourstep {

constexpr int64_t kChunkTokens = 75;             ///< prompt tokens in a chunk
constexpr int64_t kChunkIds = kChunkTokens + 2;  ///< with start and end

/// How a prompt of more than 75 tokens is divided.
enum class ChunkRule {
  kTruncate,  ///< one chunk, the rest is dropped: diffusers
  /// a part of fewer than 8 tokens moves to the next chunk as a whole, others are cut: ComfyUI
  kWholeParts,
  /// what follows a comma among the last 20 tokens of a full chunk moves to the next, unless the
  /// next token is a comma: A1111, Forge
  kCommaBackOff,
};

struct PromptToken {
  int64_t id = 0;  ///< 0 where there is a vector
  double weight = 1;
  Tensor vector = {};  ///< [width], of a textual inversion; undefined: the vocabulary's
};

/// Neighbouring tokens that came from one piece of the prompt.
struct TokenPart {
  enum class Kind {
    kText,
    kVectors,  ///< of one textual inversion: not cut where it fits into one chunk
    kBreak,    ///< no tokens: the chunk ends here (kCommaBackOff only)
  };
  Kind kind = Kind::kText;
  std::vector<PromptToken> tokens = {};
};

using TokenChunk = std::vector<PromptToken>;  ///< at most 75

/// At least one chunk. comma_id: see Tokenizer::comma_id(); only kCommaBackOff looks at it.
/// Source: Forge's `tokenize_line` and ComfyUI's `tokenize_with_weights`, by their results.
std::vector<TokenChunk> split_chunks(const std::vector<TokenPart>& parts, ChunkRule rule,
                                     int64_t comma_id);

/// The ids in one chunk, those beyond 75 left out.
TokenChunk plain_chunk(const std::vector<int64_t>& ids);

struct ChunkRows {
  Tensor ids;      ///< [n,77] int64: start, tokens, end, then padding
  Tensor weights;  ///< [n,77] fp64: 1 for what is no token of the prompt
  std::vector<TokenVector> vectors;
};

/// One row per chunk. pad_id: of what follows the end token. Throws Error for a chunk of more than
/// 75 tokens.
ChunkRows pad_chunks(const std::vector<TokenChunk>& chunks, const Tokenizer& tokenizer,
                     int64_t pad_id);

// What the weight of a token does to the encoder's state of it.

/// Whose mathematics. z: a state, w: its token's weight.
enum class EmphasisRule {
  kIgnore,  ///< z
  kNoNorm,  ///< w * z; A1111's "No norm", which its authors advise for SDXL
  kOriginal,  ///< w * z, then all states times one factor that restores their mean; A1111's "Original"
  /// z_empty + w * (z - z_empty), z_empty being the state at this place of an empty prompt
  kComfy,
};

/// z: [B,L,C], states of one chunk; weights: [B,L]; empty: [1,L,C], only looked at by kComfy.
/// Computed in fp32 at least, returned in the dtype of z. Where all weights are 1, z comes back as
/// it is.
/// Source: A1111's and Forge's emphasis classes, ComfyUI's `encode_token_weights`.
Tensor weigh_tokens(const Tensor& z, const Tensor& weights, EmphasisRule rule, const Tensor& empty);

/// The same for several chunks, z [n,L,C] and weights [n,L], each on its own. Returns [1,n*L,C].
Tensor weigh_chunks(const Tensor& z, const Tensor& weights, EmphasisRule rule, const Tensor& empty);

}  // namespace fourstep
