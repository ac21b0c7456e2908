#include "train/captions.h"

#include <fstream>

#include "base/error.h"
#include "base/text_tools.h"

namespace fourstep {

namespace {

Tensor caption_ids(const TextEncoder& encoder, std::span<const std::string> captions) {
  const Tokenizer& tokenizer = encoder.tokenizer;
  std::vector<TokenChunk> rows;
  for (const std::string& caption : captions)
    rows.push_back(plain_chunk(tokenizer.encode(caption)));
  return pad_chunks(rows, tokenizer, encoder.pad_id).ids;
}

}  // namespace

Conditioning encode_captions(const TextEncoders& encoders, std::span<const std::string> captions,
                             int64_t side) {
  const std::vector<SizeConditioning> sizes(captions.size(), {side, side, 0, 0, side, side});
  return encode_captions(encoders, captions, sizes);
}

Conditioning encode_captions(const TextEncoders& encoders, std::span<const std::string> captions,
                             std::span<const SizeConditioning> sizes) {
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
  std::vector<Tensor> time_ids;
  for (const SizeConditioning& size : sizes) time_ids.push_back(size_time_ids(size));
  cond.time_ids = at::cat(time_ids).to(cond.context.device());
  return cond;
}

Conditioning rows_of(const Conditioning& cond, int64_t begin, int64_t count) {
  const auto rows = [&](const Tensor& all) {
    return all.defined() ? all.narrow(0, begin, count) : all;
  };
  return {rows(cond.context), rows(cond.pooled), rows(cond.time_ids)};
}

Conditioning null_condition(const Conditioning& cond) {
  const auto zeros = [](const Tensor& like) {
    return like.defined() ? at::zeros_like(like) : like;
  };
  return {zeros(cond.context), zeros(cond.pooled), cond.time_ids};
}

Conditioning drop_captions(Conditioning cond, const Tensor& is_kept) {
  const Tensor factor = is_kept.to(cond.context.options());
  cond.context = cond.context * factor.view({-1, 1, 1});
  if (cond.pooled.defined()) cond.pooled = cond.pooled * factor.view({-1, 1});
  return cond;
}

Conditioning stack_rows(const Conditioning& a, const Conditioning& b) {
  const auto both = [](const Tensor& first, const Tensor& second) {
    return first.defined() ? at::cat({first, second}) : first;
  };
  return {both(a.context, b.context), both(a.pooled, b.pooled), both(a.time_ids, b.time_ids)};
}

std::vector<std::string> read_prompts(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file)
    throw Error("prompts \"{}\" cannot be read; name a text file with one per line", path.string());
  std::vector<std::string> prompts;
  for (std::string line; std::getline(file, line);) {
    line = trimmed(line);
    if (!line.empty()) prompts.push_back(line);
  }
  if (prompts.empty())
    throw Error("prompts \"{}\" is empty; write one prompt per line", path.string());
  return prompts;
}

}  // namespace fourstep
