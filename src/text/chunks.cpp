#include "text/chunks.h"

#include <algorithm>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr size_t kFull = kChunkTokens;

/// How many tokens of a full chunk stay when one that is no comma follows.
size_t kept_by_back_off(const TokenChunk& full, int64_t comma_id) {
  constexpr size_t kBackOffTokens = 20;
  for (size_t kept = kFull; kept > kFull - kBackOffTokens; --kept) {
    if (full[kept - 1].id == comma_id) return kept;
  }
  return kFull;
}

/// Room for tokens that are not to be cut; `first` is the id that decides about commas.
void make_room(std::vector<TokenChunk>& chunks, size_t count, int64_t first, int64_t comma_id) {
  if (chunks.back().size() == kFull) {
    TokenChunk& full = chunks.back();
    const size_t kept = first == comma_id ? kFull : kept_by_back_off(full, comma_id);
    TokenChunk moved(full.begin() + static_cast<std::ptrdiff_t>(kept), full.end());
    full.resize(kept);
    chunks.push_back(std::move(moved));
  }
  if (chunks.back().size() + count > kFull && count <= kFull) chunks.emplace_back();
}

void add_backing_off(std::vector<TokenChunk>& chunks, const TokenPart& part, int64_t comma_id) {
  if (part.kind == TokenPart::Kind::kVectors) {
    make_room(chunks, part.tokens.size(), /*first=*/-1, comma_id);
  }
  for (const PromptToken& token : part.tokens) {
    if (chunks.back().size() == kFull) {
      const bool is_text = part.kind == TokenPart::Kind::kText;
      make_room(chunks, 1, is_text ? token.id : comma_id, comma_id);
    }
    chunks.back().push_back(token);
  }
}

void add_whole(std::vector<TokenChunk>& chunks, const std::vector<PromptToken>& tokens) {
  constexpr size_t kCutFrom = 8;
  if (tokens.size() < kCutFrom && chunks.back().size() + tokens.size() > kFull) {
    chunks.emplace_back();
  }
  for (const PromptToken& token : tokens) {
    if (chunks.back().size() == kFull) chunks.emplace_back();
    chunks.back().push_back(token);
  }
}

}  // namespace

std::vector<TokenChunk> split_chunks(const std::vector<TokenPart>& parts, ChunkRule rule,
                                     int64_t comma_id) {
  std::vector<TokenChunk> chunks(1);
  bool is_break_last = false;
  for (const TokenPart& part : parts) {
    if (part.kind == TokenPart::Kind::kBreak && rule == ChunkRule::kCommaBackOff) {
      chunks.emplace_back();
      is_break_last = true;
      continue;
    }
    is_break_last = is_break_last && part.tokens.empty();
    if (rule == ChunkRule::kCommaBackOff) {
      add_backing_off(chunks, part, comma_id);
    } else {
      add_whole(chunks, part.tokens);
    }
  }
  if (is_break_last) chunks.pop_back();  // nothing came after it
  if (rule == ChunkRule::kTruncate) chunks.resize(1);
  return chunks;
}

TokenChunk plain_chunk(const std::vector<int64_t>& ids) {
  TokenChunk chunk;
  for (const int64_t id : ids) {
    if (chunk.size() == kFull) break;
    chunk.push_back({id});
  }
  return chunk;
}

ChunkRows pad_chunks(const std::vector<TokenChunk>& chunks, const Tokenizer& tokenizer,
                     int64_t pad_id) {
  const auto count = static_cast<int64_t>(chunks.size());
  ChunkRows rows{torch::full({count, kChunkIds}, pad_id, torch::kInt64),
                 torch::ones({count, kChunkIds}, torch::kFloat64),
                 {}};
  for (int64_t row = 0; row < count; ++row) {
    const TokenChunk& chunk = chunks[static_cast<size_t>(row)];
    if (chunk.size() > kFull) {
      throw Error("pad_chunks: a chunk of {} tokens, expected at most {}", chunk.size(), kFull);
    }
    int64_t* ids = rows.ids.mutable_data_ptr<int64_t>() + row * kChunkIds;
    double* weights = rows.weights.mutable_data_ptr<double>() + row * kChunkIds;
    ids[0] = tokenizer.bos_id();
    int64_t position = 1;
    for (const PromptToken& token : chunk) {
      ids[position] = token.id;
      weights[position] = token.weight;
      if (token.vector.defined()) rows.vectors.push_back({row, position, token.vector});
      ++position;
    }
    ids[position] = tokenizer.eos_id();
  }
  return rows;
}

namespace {

/// (mean before) / (mean after); 1 where the mean after is 0, so that no state becomes infinite.
Tensor mean_ratio(const Tensor& before, const Tensor& after) {
  const Tensor mean = after.mean();
  return at::where(mean == 0, at::ones_like(mean), before.mean() / mean);
}

}  // namespace

Tensor weigh_tokens(const Tensor& z, const Tensor& weights, EmphasisRule rule,
                    const Tensor& empty) {
  if (rule == EmphasisRule::kIgnore || (weights == 1).all().item<bool>()) return z;
  const Tensor exact = z.to(at::promote_types(z.scalar_type(), torch::kFloat32));
  const Tensor w = weights.to(exact.options()).unsqueeze(-1);
  if (rule == EmphasisRule::kComfy) {
    const Tensor base = empty.to(exact.options());
    return at::where(w == 1, exact, base + w * (exact - base)).to(z.scalar_type());
  }
  Tensor weighted = exact * w;
  if (rule == EmphasisRule::kOriginal) weighted = weighted * mean_ratio(exact, weighted);
  return weighted.to(z.scalar_type());
}

Tensor weigh_chunks(const Tensor& z, const Tensor& weights, EmphasisRule rule,
                    const Tensor& empty) {
  std::vector<Tensor> chunks;
  for (int64_t i = 0; i < z.size(0); ++i) {
    chunks.push_back(weigh_tokens(z.narrow(0, i, 1), weights.narrow(0, i, 1), rule, empty));
  }
  return at::cat(chunks, 1);
}

}  // namespace fourstep
