#include "inspect/token_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fields.h"
#include "base/text_tools.h"
#include "pipeline/textual_inversions.h"
#include "text/conditioning.h"

namespace fourstep {

namespace {

constexpr std::string_view kWordEnd = "</w>";

Token token_from(const PromptToken& token, const Tokenizer& tokenizer) {
  if (token.vector.defined()) return {0, "(embedding)", true, token.weight, true};
  return {token.id, tokenizer.token_bytes(token.id),
          tokenizer.token_text(token.id).ends_with(kWordEnd), token.weight};
}

std::vector<EncoderTokens> tokens_of(const std::string& text, const Tokenizer& tokenizer,
                                     const PromptOptions& options, size_t num_encoders) {
  const int64_t bos = tokenizer.bos_id(), eos = tokenizer.eos_id();
  std::vector<EncoderTokens> encoders;
  const std::vector<const Tokenizer*> tokenizers(num_encoders, &tokenizer);
  for (const auto& chunks : encoder_chunks(tokenizers, text, options)) {
    EncoderTokens& encoder = encoders.emplace_back(
        encoders.empty() ? EncoderTokens{"text_encoder", bos, eos, eos, {}}
                         : EncoderTokens{"text_encoder_2", bos, eos, kSecondEncoderPadId, {}});
    for (const TokenChunk& chunk : chunks) {
      std::vector<Token>& tokens = encoder.chunks.emplace_back();
      for (const PromptToken& token : chunk) tokens.push_back(token_from(token, tokenizer));
    }
  }
  return encoders;
}

size_t count_tokens(const EncoderTokens& encoder) {
  size_t count = 0;
  for (const auto& chunk : encoder.chunks) count += chunk.size();
  return count;
}

bool is_same_token(const Token& a, const Token& b) {
  return a.id == b.id && a.bytes == b.bytes && a.weight == b.weight;
}

bool have_same_tokens(const EncoderTokens& a, const EncoderTokens& b) {
  const auto is_same_chunk = [](const auto& left, const auto& right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), is_same_token);
  };
  return std::equal(a.chunks.begin(), a.chunks.end(), b.chunks.begin(), b.chunks.end(),
                    is_same_chunk);
}

std::string spelling(const Token& token) {
  return readable(token.bytes) + (token.ends_word && !token.is_vector ? "</w>" : "");
}

void add_rows(const EncoderTokens& encoder, const std::string& name, Table& table) {
  for (size_t chunk = 0; chunk < encoder.chunks.size(); ++chunk) {
    for (size_t i = 0; i < encoder.chunks[chunk].size(); ++i) {
      const Token& token = encoder.chunks[chunk][i];
      table.rows.push_back({name, std::to_string(chunk + 1), std::to_string(i + 1),
                            token.is_vector ? "-" : std::to_string(token.id), spelling(token),
                            text_from_value(token.weight)});
    }
  }
}

/// On one line, whatever the text holds.
std::string heading_of(const EncodedTextUse& use) {
  const std::string note = note_of(use);
  std::string heading = fmt::format("{}{}: {}", use.role, note.empty() ? "" : " (" + note + ")",
                                    use.text.empty() ? "(empty)" : readable(use.text));
  std::replace_if(
      heading.begin(), heading.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; }, ' ');
  return heading + '\n';
}

nlohmann::ordered_json json_from_encoders(const std::vector<EncoderTokens>& encoders) {
  auto json = nlohmann::ordered_json::array();
  for (const EncoderTokens& encoder : encoders) {
    auto chunks = nlohmann::ordered_json::array();
    for (const auto& chunk : encoder.chunks) {
      auto& tokens = chunks.emplace_back(nlohmann::ordered_json::array());
      for (const Token& token : chunk) {
        const auto id =
            token.is_vector ? nlohmann::ordered_json() : nlohmann::ordered_json(token.id);
        tokens.push_back({{"id", id}, {"token", spelling(token)}, {"weight", token.weight}});
      }
    }
    json.push_back({{"encoder", encoder.encoder},
                    {"start", encoder.bos_id},
                    {"end", encoder.eos_id},
                    {"padding", encoder.pad_id},
                    {"chunks", chunks}});
  }
  return json;
}

}  // namespace

TokenView view_tokens(const ResolvedRequest& request, const ModelFacts& model) {
  const Tokenizer tokenizer(model.vocabulary.merges_text, model.vocabulary.source);
  PromptOptions options;
  options.rules = request.prompt.rules;
  InversionFiles inversions;
  const bool has_names = !request.prompt.embedding_dir.empty() || !model.bundles.empty();
  if (has_names && !model.text_widths.empty()) {
    inversions = open_inversions(request.prompt.embedding_dir, model.text_widths, model.bundles);
    options.inversions = &inversions.table;
  }
  TokenView view{model.vocabulary.source, tokenizer.vocab_size(), {}};
  for (const EncodedTextUse& use : encoded_texts(request)) {
    view.texts.push_back(
        {use, tokens_of(use.text, tokenizer, options, model.has_two_encoders ? 2 : 1)});
  }
  return view;
}

std::string readable(std::string_view bytes) {
  std::string again, escaped;
  for (const char32_t c : decode_utf8(bytes)) append_utf8(again, c);
  if (again == bytes) return again;
  for (const char byte : bytes) {
    const auto value = static_cast<uint8_t>(byte);
    escaped += value < 0x80 ? std::string(1, byte) : fmt::format("\\x{:02X}", value);
  }
  return escaped;
}

Table token_table(const TextTokens& text) {
  Table table{{{"encoder"},
               {"chunk", Align::kRight},
               {"place", Align::kRight},
               {"id", Align::kRight},
               {"token"},
               {"weight", Align::kRight}},
              {}};
  const auto& encoders = text.encoders;
  const bool is_shared = encoders.size() == 2 && have_same_tokens(encoders[0], encoders[1]);
  if (is_shared) {
    add_rows(encoders[0], "both", table);
    return table;
  }
  for (const EncoderTokens& encoder : encoders) add_rows(encoder, encoder.encoder, table);
  return table;
}

std::string text_from_tokens(const TokenView& view) {
  std::string text = fmt::format("vocabulary of {} from {}\n", view.vocab_size, view.vocabulary);
  for (const TextTokens& tokens : view.texts) {
    text += "\n" + heading_of(tokens.use);
    const Table table = token_table(tokens);
    if (!table.rows.empty()) text += text_from_table(table);
    for (const EncoderTokens& encoder : tokens.encoders) {
      text += fmt::format("{}: {} tokens in {} chunk{}, start {}, end {}, then {} up to {}\n",
                          encoder.encoder, count_tokens(encoder), encoder.chunks.size(),
                          encoder.chunks.size() == 1 ? "" : "s", encoder.bos_id, encoder.eos_id,
                          encoder.pad_id, kChunkIds);
    }
  }
  return text;
}

nlohmann::ordered_json json_from(const TokenView& view) {
  nlohmann::ordered_json json{{"vocabulary", view.vocabulary}, {"vocab_size", view.vocab_size}};
  json["encoders"] = json_from_encoders(view.texts.front().encoders);
  json["texts"] = nlohmann::ordered_json::array();
  for (const TextTokens& text : view.texts) {
    auto entry = json_from(text.use);
    entry["encoders"] = json_from_encoders(text.encoders);
    json["texts"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace fourstep
