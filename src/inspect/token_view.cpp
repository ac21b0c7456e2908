#include "inspect/token_view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/fields.h"
#include "text/conditioning.h"
#include "text/network_tags.h"

namespace fourstep {

namespace {

std::vector<std::vector<Token>> chunks_of(const std::string& prompt, const Tokenizer& tokenizer,
                                          Dialect dialect) {
  const PromptRules rules = prompt_rules(dialect);
  const bool has_tags = rules.syntax == PromptSyntax::kA1111;
  const std::string text = has_tags ? parse_network_tags(prompt).text : prompt;
  const auto parts = tokenize_prompt(tokenizer, text, rules.syntax);
  std::vector<std::vector<Token>> chunks;
  for (const TokenChunk& chunk : split_chunks(parts, rules.chunks, tokenizer.comma_id())) {
    std::vector<Token>& tokens = chunks.emplace_back();
    for (const PromptToken& token : chunk) {
      tokens.push_back({token.id, tokenizer.token_text(token.id), token.weight});
    }
  }
  return chunks;
}

size_t count_tokens(const EncoderTokens& encoder) {
  size_t count = 0;
  for (const auto& chunk : encoder.chunks) count += chunk.size();
  return count;
}

}  // namespace

TokenView view_tokens(const std::string& prompt, const ModelFacts& model, Dialect dialect) {
  const Tokenizer tokenizer(model.vocabulary.merges_text, model.vocabulary.source);
  const int64_t bos = tokenizer.bos_id(), eos = tokenizer.eos_id();
  const auto chunks = chunks_of(prompt, tokenizer, dialect);
  TokenView view{model.vocabulary.source, tokenizer.vocab_size(), {}};
  view.encoders.push_back({"text_encoder", bos, eos, eos, chunks});
  if (model.has_two_encoders) {
    view.encoders.push_back({"text_encoder_2", bos, eos, kSecondEncoderPadId, chunks});
  }
  return view;
}

Table token_table(const TokenView& view) {
  Table table{{{"chunk", Align::kRight},
               {"place", Align::kRight},
               {"id", Align::kRight},
               {"token"},
               {"weight", Align::kRight}},
              {}};
  const EncoderTokens& first = view.encoders.front();
  for (size_t chunk = 0; chunk < first.chunks.size(); ++chunk) {
    for (size_t i = 0; i < first.chunks[chunk].size(); ++i) {
      const Token& token = first.chunks[chunk][i];
      table.rows.push_back({std::to_string(chunk + 1), std::to_string(i + 1),
                            std::to_string(token.id), token.text, text_from_value(token.weight)});
    }
  }
  return table;
}

std::string token_summary(const TokenView& view) {
  std::string text = fmt::format("vocabulary of {} from {}\n", view.vocab_size, view.vocabulary);
  for (const EncoderTokens& encoder : view.encoders) {
    text += fmt::format("{}: {} tokens in {} chunk{}, start {}, end {}, then {} up to {}\n",
                        encoder.encoder, count_tokens(encoder), encoder.chunks.size(),
                        encoder.chunks.size() == 1 ? "" : "s", encoder.bos_id, encoder.eos_id,
                        encoder.pad_id, kChunkIds);
  }
  return text;
}

nlohmann::ordered_json json_from(const TokenView& view) {
  nlohmann::ordered_json json{{"vocabulary", view.vocabulary}, {"vocab_size", view.vocab_size}};
  json["encoders"] = nlohmann::ordered_json::array();
  for (const EncoderTokens& encoder : view.encoders) {
    auto chunks = nlohmann::ordered_json::array();
    for (const auto& chunk : encoder.chunks) {
      auto& tokens = chunks.emplace_back(nlohmann::ordered_json::array());
      for (const Token& token : chunk)
        tokens.push_back({{"id", token.id}, {"token", token.text}, {"weight", token.weight}});
    }
    json["encoders"].push_back({{"encoder", encoder.encoder},
                                {"start", encoder.bos_id},
                                {"end", encoder.eos_id},
                                {"padding", encoder.pad_id},
                                {"chunks", chunks}});
  }
  return json;
}

}  // namespace fourstep
