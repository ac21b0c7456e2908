#include "inspect/token_view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "text/conditioning.h"

namespace fourstep {

namespace {

std::vector<std::vector<Token>> chunks_of(const std::string& prompt, const Tokenizer& tokenizer) {
  std::vector<std::vector<Token>> chunks;
  const auto ids = tokenizer.encode(prompt);
  for (const auto& chunk : split_chunks(ids, PromptOptions().chunks, tokenizer.comma_id())) {
    std::vector<Token>& tokens = chunks.emplace_back();
    for (const int64_t id : chunk) tokens.push_back({id, tokenizer.token_text(id)});
  }
  return chunks;
}

size_t count_tokens(const EncoderTokens& encoder) {
  size_t count = 0;
  for (const auto& chunk : encoder.chunks) count += chunk.size();
  return count;
}

}  // namespace

TokenView view_tokens(const std::string& prompt, const ModelFacts& model) {
  const Tokenizer tokenizer(model.vocabulary.merges_text, model.vocabulary.source);
  const int64_t bos = tokenizer.bos_id(), eos = tokenizer.eos_id();
  const auto chunks = chunks_of(prompt, tokenizer);
  TokenView view{model.vocabulary.source, tokenizer.vocab_size(), {}};
  view.encoders.push_back({"text_encoder", bos, eos, eos, chunks});
  if (model.has_two_encoders) {
    view.encoders.push_back({"text_encoder_2", bos, eos, kSecondEncoderPadId, chunks});
  }
  return view;
}

Table token_table(const TokenView& view) {
  Table table{
      {{"chunk", Align::kRight}, {"place", Align::kRight}, {"id", Align::kRight}, {"token"}}, {}};
  const EncoderTokens& first = view.encoders.front();
  for (size_t chunk = 0; chunk < first.chunks.size(); ++chunk) {
    for (size_t i = 0; i < first.chunks[chunk].size(); ++i) {
      const Token& token = first.chunks[chunk][i];
      table.rows.push_back(
          {std::to_string(chunk + 1), std::to_string(i + 1), std::to_string(token.id), token.text});
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
      for (const Token& token : chunk) tokens.push_back({{"id", token.id}, {"token", token.text}});
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
