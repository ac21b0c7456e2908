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

}  // namespace fourstep
