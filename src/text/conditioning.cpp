#include "text/conditioning.h"

#include <algorithm>

#include "base/error.h"

namespace fourstep {
namespace {

using Chunk = std::vector<int64_t>;

constexpr int64_t kBackOffTokens = 20;

/// Number of tokens to keep in a full chunk when `next` follows.
size_t back_off(const Chunk& full, int64_t next, int64_t comma_id) {
  if (next == comma_id) return full.size();
  for (size_t kept = full.size(); kept > full.size() - kBackOffTokens; --kept) {
    if (full[kept - 1] == comma_id) return kept;
  }
  return full.size();
}

/// Rows of ids for one encoder: the prompt's chunks, then chunks of the empty prompt up to `count`.
Tensor chunk_rows(const TextEncoder& encoder, std::string_view prompt, ChunkRule rule,
                  int64_t count) {
  auto chunks = split_chunks(encoder.tokenizer.encode(prompt), rule, encoder.tokenizer.comma_id());
  chunks.resize(std::max<size_t>(chunks.size(), static_cast<size_t>(count)));
  return pad_chunks(chunks, encoder.tokenizer, encoder.pad_id);
}

}  // namespace

std::vector<Chunk> split_chunks(std::span<const int64_t> ids, ChunkRule rule, int64_t comma_id) {
  if (rule == ChunkRule::kTruncate) ids = ids.first(std::min<size_t>(ids.size(), kChunkTokens));
  std::vector<Chunk> chunks(1);
  for (const int64_t id : ids) {
    if (chunks.back().size() == kChunkTokens) {
      Chunk& full = chunks.back();
      const size_t kept =
          rule == ChunkRule::kCommaBackOff ? back_off(full, id, comma_id) : full.size();
      Chunk moved(full.begin() + kept, full.end());
      full.resize(kept);
      chunks.push_back(std::move(moved));
    }
    chunks.back().push_back(id);
  }
  return chunks;
}

Tensor pad_chunks(const std::vector<Chunk>& chunks, const Tokenizer& tokenizer, int64_t pad_id) {
  const int64_t count = static_cast<int64_t>(chunks.size());
  Tensor rows = torch::full({count, kChunkIds}, pad_id, torch::kInt64);
  int64_t* row = rows.mutable_data_ptr<int64_t>();
  for (const Chunk& chunk : chunks) {
    if (chunk.size() > kChunkTokens) {
      throw Error("pad_chunks: a chunk of {} tokens, expected at most {}", chunk.size(),
                  kChunkTokens);
    }
    row[0] = tokenizer.bos_id();
    *std::copy(chunk.begin(), chunk.end(), row + 1) = tokenizer.eos_id();
    row += kChunkIds;
  }
  return rows;
}

TextEncoders sdxl_text_encoders(const Tokenizer& tokenizer, ClipTextImpl& first,
                                const Tokenizer& tokenizer_2, ClipTextImpl& second) {
  return {{{tokenizer, first, tokenizer.eos_id()}, {tokenizer_2, second, kSecondEncoderPadId}},
          ContextState::kPenultimate};
}

TextEncoders sd15_text_encoders(const Tokenizer& tokenizer, ClipTextImpl& model) {
  return {{{tokenizer, model, tokenizer.eos_id()}}, ContextState::kNormalizedLast};
}

int64_t count_chunks(const TextEncoders& encoders, std::string_view prompt, ChunkRule rule) {
  size_t count = 1;
  for (const TextEncoder& encoder : encoders.encoders) {
    const auto ids = encoder.tokenizer.encode(prompt);
    count = std::max(count, split_chunks(ids, rule, encoder.tokenizer.comma_id()).size());
  }
  return static_cast<int64_t>(count);
}

Conditioning encode_prompt(const TextEncoders& encoders, std::string_view prompt,
                           const PromptOptions& options) {
  // Tokenizers that treat "!" differently can disagree on the number of chunks.
  const int64_t count =
      std::max(options.min_chunks, count_chunks(encoders, prompt, options.chunks));
  Conditioning out;
  std::vector<Tensor> contexts;
  for (const TextEncoder& encoder : encoders.encoders) {
    const Tensor ids = chunk_rows(encoder, prompt, options.chunks, count);
    const ClipOutput states = encoder.model.forward(ids, options.clip_skip);
    const bool is_penultimate = encoders.state == ContextState::kPenultimate;
    contexts.push_back((is_penultimate ? states.hidden : states.last).flatten(0, 1).unsqueeze(0));
    if (states.pooled.defined()) out.pooled = states.pooled.narrow(0, 0, 1);
  }
  out.context = at::cat(contexts, -1);
  if (prompt.empty() && options.empty == EmptyPrompt::kZero) {
    out.context.zero_();
    if (out.pooled.defined()) out.pooled = at::zeros_like(out.pooled);
  }
  return out;
}

Tensor size_time_ids(const SizeConditioning& size) {
  const std::vector<double> values = {double(size.original_height), double(size.original_width),
                                      double(size.crop_top),        double(size.crop_left),
                                      double(size.target_height),   double(size.target_width)};
  return torch::tensor(values, torch::kFloat32).unsqueeze(0);
}

}  // namespace fourstep
