#include "text/conditioning.h"

#include <algorithm>

namespace fourstep {
namespace {

std::vector<const Tokenizer*> tokenizers_of(const TextEncoders& encoders) {
  std::vector<const Tokenizer*> tokenizers;
  for (const TextEncoder& encoder : encoders.encoders) tokenizers.push_back(&encoder.tokenizer);
  return tokenizers;
}

/// Tokenizers that treat "!" differently, and textual inversions of different lengths, can
/// disagree.
size_t common_count(const ChunkLists& lists, const PromptOptions& options) {
  const auto is_shorter = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  const auto [least, most] = std::minmax_element(lists.begin(), lists.end(), is_shorter);
  return options.rules.syntax == PromptSyntax::kComfy ? least->size() : most->size();
}

/// One encoder's part of the conditioning; pooled stays undefined without a projection.
Conditioning encode_chunks(const TextEncoder& encoder, ContextState state,
                           const std::vector<TokenChunk>& chunks, const PromptOptions& options) {
  const ChunkRows rows = pad_chunks(chunks, encoder.tokenizer, encoder.pad_id);
  const bool needs_empty =
      options.rules.emphasis == EmphasisRule::kComfy && !(rows.weights == 1).all().item<bool>();
  Tensor ids = rows.ids;
  if (needs_empty) {
    ids = at::cat({ids, pad_chunks({{}}, encoder.tokenizer, encoder.pad_id).ids});
  }
  const ClipOutput states = encoder.model.forward(ids, options.clip_skip, rows.vectors);
  const Tensor z = state == ContextState::kPenultimate ? states.hidden : states.last;
  const int64_t count = rows.ids.size(0);
  const Tensor empty = needs_empty ? z.narrow(0, count, 1) : Tensor();
  Conditioning out;
  out.context = weigh_chunks(z.narrow(0, 0, count), rows.weights, options.rules.emphasis, empty);
  if (states.pooled.defined()) out.pooled = states.pooled.narrow(0, 0, 1);
  return out;
}

}  // namespace

TextEncoders sdxl_text_encoders(const Tokenizer& tokenizer, ClipTextImpl& first,
                                const Tokenizer& tokenizer_2, ClipTextImpl& second) {
  return {{{tokenizer, first, tokenizer.eos_id()}, {tokenizer_2, second, kSecondEncoderPadId}},
          ContextState::kPenultimate};
}

TextEncoders sd15_text_encoders(const Tokenizer& tokenizer, ClipTextImpl& model) {
  return {{{tokenizer, model, tokenizer.eos_id()}}, ContextState::kNormalizedLast};
}

ChunkLists encoder_chunks(const std::vector<const Tokenizer*>& tokenizers, std::string_view prompt,
                          const PromptOptions& options) {
  ChunkLists lists;
  for (const Tokenizer* tokenizer : tokenizers) {
    const auto parts =
        tokenize_prompt(*tokenizer, prompt, options.rules, options.inversions, lists.size());
    lists.push_back(split_chunks(parts, options.rules.chunks, tokenizer->comma_id()));
  }
  const size_t count = common_count(lists, options);
  for (auto& chunks : lists) chunks.resize(count);
  return lists;
}

Conditioning encode_prompt(const TextEncoders& encoders, std::string_view prompt,
                           const PromptOptions& options) {
  const ChunkLists lists = encoder_chunks(tokenizers_of(encoders), prompt, options);
  Conditioning out;
  std::vector<Tensor> contexts;
  for (size_t i = 0; i < lists.size(); ++i) {
    const Conditioning part =
        encode_chunks(encoders.encoders[i], encoders.state, lists[i], options);
    contexts.push_back(part.context);
    if (part.pooled.defined()) out.pooled = part.pooled;
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
