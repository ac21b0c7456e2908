#include "inspect/prompt_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/text_tools.h"
#include "inspect/token_view.h"
#include "text/known_words.h"
#include "text/prompt_rules.h"

namespace fourstep {

namespace {

std::string text_of(const std::vector<Token>& tokens) {
  std::string text;
  for (const Token& token : tokens) {
    text += token.bytes;
    if (token.ends_word) text += ' ';
  }
  return readable(trimmed(text));
}

/// For the first encoder.
std::vector<PromptChunk> prompt_chunks_of(const TextTokens& text) {
  std::vector<PromptChunk> chunks;
  for (const auto& tokens : text.encoders.front().chunks) {
    chunks.push_back({static_cast<int64_t>(tokens.size()), text_of(tokens)});
  }
  return chunks;
}

std::vector<std::string> unknown_of(const std::string& prompt, const ModelFacts& model,
                                    PromptSyntax syntax) {
  const std::string& known = model.traits.known_words;
  const std::string words = plain_words(prompt, syntax);
  return known.empty() ? std::vector<std::string>() : unknown_words(words, known);
}

std::string note_of(const PromptView& view) {
  std::string note = note_of(view.use);
  if (view.unknown.empty()) return note;
  return fmt::format("{}{}never seen: {}", note, note.empty() ? "" : "; ",
                     fmt::join(view.unknown, ", "));
}

}  // namespace

std::vector<PromptView> view_prompts(const ResolvedRequest& request, const ModelFacts& model) {
  const PromptSyntax syntax = request.prompt.rules.syntax;
  std::vector<PromptView> views;
  for (const TextTokens& text : view_tokens(request, model).texts) {
    views.push_back({text.use, prompt_chunks_of(text), unknown_of(text.use.text, model, syntax)});
  }
  return views;
}

Table prompt_table(const std::vector<PromptView>& views) {
  Table table{{{"part"}, {"chunk", Align::kRight}, {"tokens", Align::kRight}, {"text"}, {"note"}},
              {}};
  for (const PromptView& view : views) {
    const std::string note = note_of(view);
    for (size_t i = 0; i < view.chunks.size(); ++i) {
      const PromptChunk& chunk = view.chunks[i];
      table.rows.push_back({i == 0 ? view.use.role : "", std::to_string(i + 1),
                            fmt::format("{}/{}", chunk.num_tokens, kChunkTokens), chunk.text,
                            i == 0 ? note : ""});
    }
  }
  return table;
}

nlohmann::ordered_json json_from(const PromptView& view) {
  auto chunks = nlohmann::ordered_json::array();
  for (const PromptChunk& chunk : view.chunks) {
    chunks.push_back({{"tokens", chunk.num_tokens}, {"text", chunk.text}});
  }
  auto json = json_from(view.use);
  json["chunks"] = chunks;
  json["unknown"] = view.unknown;
  return json;
}

}  // namespace fourstep
