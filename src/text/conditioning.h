#pragma once
// From a prompt to what the UNet is conditioned on: chunks of 77 ids, the encoders' states side by
// side, the pooled output, and the six numbers for size and crop.

#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "text/bpe.h"
#include "text/clip.h"
#include "text/prompt_rules.h"

namespace fourstep {

struct Conditioning {
  Tensor context;  ///< [B,77n,cross]: the encoders' states side by side; n chunks one after another
  Tensor
      pooled;  ///< [B,P], of the first chunk; undefined when no encoder has a projection (SD 1.5)
  Tensor time_ids;  ///< [B,6] fp32, see size_time_ids(); undefined for SD 1.5
};

/// A tokenizer with its encoder; both must outlive it.
struct TextEncoder {
  const Tokenizer& tokenizer;
  ClipTextImpl& model;
  int64_t pad_id;  ///< CLIP-L: the end token; bigG: 0
};

enum class ContextState {
  kPenultimate,     ///< ClipOutput::hidden: SDXL
  kNormalizedLast,  ///< ClipOutput::last: SD 1.5
};

struct TextEncoders {
  std::vector<TextEncoder> encoders;  ///< in the order of the context's columns: CLIP-L, then bigG
  ContextState state = ContextState::kPenultimate;
};

constexpr int64_t kSecondEncoderPadId = 0;  ///< bigG's; CLIP-L is padded with the end token

/// The encoders of a model with the padding of its family. SDXL: two, the second with projection.
TextEncoders sdxl_text_encoders(const Tokenizer& tokenizer, ClipTextImpl& first,
                                const Tokenizer& tokenizer_2, ClipTextImpl& second);
TextEncoders sd15_text_encoders(const Tokenizer& tokenizer, ClipTextImpl& model);

/// What the empty prompt becomes.
enum class EmptyPrompt {
  kEncode,  ///< encoded as any other: ComfyUI; diffusers for an explicit ""
  kZero,  ///< context and pooled are zeros: A1111 and Forge for SDXL; diffusers when none is given
};

struct PromptOptions {
  PromptRules rules = {};
  EmptyPrompt empty = EmptyPrompt::kEncode;
  int64_t clip_skip = 0;                       ///< see ClipTextImpl::forward()
  const InversionTable* inversions = nullptr;  ///< null: none
};

using ChunkLists = std::vector<std::vector<TokenChunk>>;  ///< one list per encoder

/// What encode_prompt() puts between start and end for encoders with these tokenizers, in the same
/// order; as many chunks for each.
ChunkLists encoder_chunks(const std::vector<const Tokenizer*>& tokenizers, std::string_view prompt,
                          const PromptOptions& options);

/// Encodes one prompt, without AND, schedules and network tags. Returns context [1,77n,cross] and
/// pooled [1,P] in the encoders' dtype; time_ids stays undefined. Weights act on the context
/// alone.
/// Throws InvalidRequest for a clip_skip the models cannot do and for textual inversions that are
/// not there.
Conditioning encode_prompt(const TextEncoders& encoders, std::string_view prompt,
                           const PromptOptions& options = {});

/// Size and crop that SDXL is told, in pixels.
struct SizeConditioning {
  int64_t original_height = 1024, original_width = 1024;
  int64_t crop_top = 0, crop_left = 0;
  int64_t target_height = 1024, target_width = 1024;
};

/// [1,6] fp32 on the CPU: original height and width, crop top and left, target height and width.
/// Source: Podell et al. 2023 (2307.01952), section 2.2, in the order of diffusers' add_time_ids.
Tensor size_time_ids(const SizeConditioning& size);

}  // namespace fourstep
