#include "train/captions.h"

namespace fourstep {

namespace {

Tensor caption_ids(const TextEncoder& encoder, std::span<const std::string> captions) {
  const Tokenizer& tokenizer = encoder.tokenizer;
  std::vector<std::vector<int64_t>> rows;
  for (const std::string& caption : captions) {
    const std::vector<int64_t> ids = tokenizer.encode(caption);
    rows.push_back(split_chunks(ids, ChunkRule::kTruncate, tokenizer.comma_id()).front());
  }
  return pad_chunks(rows, tokenizer, encoder.pad_id);
}

}  // namespace

Conditioning encode_captions(const TextEncoders& encoders, std::span<const std::string> captions,
                             int64_t side) {
  std::vector<Tensor> states;
  Conditioning cond;
  for (const TextEncoder& encoder : encoders.encoders) {
    const torch::Device device = encoder.model.token_embedding->weight.device();
    const ClipOutput out = encoder.model.forward(caption_ids(encoder, captions).to(device));
    const bool is_penultimate = encoders.state == ContextState::kPenultimate;
    states.push_back(is_penultimate ? out.hidden : out.last);
    if (out.pooled.defined()) cond.pooled = out.pooled;
  }
  cond.context = at::cat(states, -1);
  const auto count = static_cast<int64_t>(captions.size());
  cond.time_ids =
      size_time_ids({side, side, 0, 0, side, side}).expand({count, -1}).to(cond.context.device());
  return cond;
}

Conditioning rows_of(const Conditioning& cond, int64_t begin, int64_t count) {
  return {cond.context.narrow(0, begin, count), cond.pooled.narrow(0, begin, count),
          cond.time_ids.narrow(0, begin, count)};
}

Conditioning null_condition(const Conditioning& cond) {
  return {at::zeros_like(cond.context), at::zeros_like(cond.pooled), cond.time_ids};
}

Conditioning stack_rows(const Conditioning& a, const Conditioning& b) {
  return {at::cat({a.context, b.context}), at::cat({a.pooled, b.pooled}),
          at::cat({a.time_ids, b.time_ids})};
}

}  // namespace fourstep
