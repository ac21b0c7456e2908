#pragma once
// The ids that the text encoders get for a request, as a table and JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/encoded_texts.h"
#include "report/table.h"

namespace fourstep {

struct Token {
  int64_t id = 0;
  std::string bytes;  ///< see Tokenizer::token_bytes()
  bool ends_word = false;
  double weight = 1;
  bool is_vector = false;  ///< of a textual inversion: it has no id
};

/// What one text encoder reads.
struct EncoderTokens {
  std::string encoder;                     ///< "text_encoder", "text_encoder_2"
  int64_t bos_id = 0, eos_id = 0;          ///< around each chunk
  int64_t pad_id = 0;                      ///< behind it, up to 77 ids
  std::vector<std::vector<Token>> chunks;  ///< at most 75 in each, without start, end and padding
};

struct TextTokens {
  EncodedTextUse use;
  std::vector<EncoderTokens> encoders;
};

struct TokenView {
  std::string vocabulary;  ///< where it comes from
  int64_t vocab_size = 0;
  std::vector<TextTokens> texts;
};

/// Of encoded_texts(), by the grammar and cleaning of the request's dialect, with the textual
/// inversions of its folders and LoRAs.
/// Throws as encode_prompt().
TokenView view_tokens(const ResolvedRequest& request, const ModelFacts& model);

/// Valid UTF-8 as it is, other bytes as "\xE7".
std::string readable(std::string_view bytes);

/// One row per token: encoder, chunk, place in it (start is 0), id, spelling, weight. Encoders with
/// the same tokens share their rows.
Table token_table(const TextTokens& text);

/// The table of each text under a line that says which it is, then a line per encoder with start,
/// end and padding.
std::string text_from_tokens(const TokenView& view);

/// "texts" has them all; "encoders" beside it is that of the first one, the prompt.
nlohmann::ordered_json json_from(const TokenView& view);

}  // namespace fourstep
