#pragma once
// The ids that the text encoders get for a prompt, as a table and JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/dialect.h"
#include "inspect/model_facts.h"
#include "report/table.h"

namespace fourstep {

struct Token {
  int64_t id = 0;
  std::string text;  ///< see Tokenizer::token_text()
  double weight = 1;
};

/// What one text encoder reads.
struct EncoderTokens {
  std::string encoder;                     ///< "text_encoder", "text_encoder_2"
  int64_t bos_id = 0, eos_id = 0;          ///< around each chunk
  int64_t pad_id = 0;                      ///< behind it, up to 77 ids
  std::vector<std::vector<Token>> chunks;  ///< at most 75 in each, without start, end and padding
};

struct TokenView {
  std::string vocabulary;  ///< where it comes from
  int64_t vocab_size = 0;
  std::vector<EncoderTokens> encoders;
};

/// By the grammar of the dialect, without network tags. AND and schedules are not taken apart here, see view_prompts().
TokenView view_tokens(const std::string& prompt, const ModelFacts& model,
                      Dialect dialect = Dialect::kFourstep);

/// One row per token: chunk, place in it (start is 0), id, spelling, weight. Encoders with the same ids share their rows.
Table token_table(const TokenView& view);

/// "encoder: n tokens in m chunks, padding id", one line each.
std::string token_summary(const TokenView& view);

nlohmann::ordered_json json_from(const TokenView& view);

}  // namespace fourstep
