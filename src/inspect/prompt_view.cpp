#include "inspect/prompt_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/text_tools.h"
#include "inspect/token_view.h"
#include "sampling/guidance.h"
#include "sampling/samplers.h"
#include "text/conditioning.h"
#include "text/known_words.h"

namespace fourstep {

namespace {

std::string text_of(const std::vector<Token>& tokens) {
  constexpr std::string_view kWordEnd = "</w>";
  std::string text;
  for (const Token& token : tokens) {
    const bool ends_word = token.text.ends_with(kWordEnd);
    text += token.text.substr(0, token.text.size() - (ends_word ? kWordEnd.size() : 0));
    if (ends_word) text += ' ';
  }
  return trimmed(text);
}

std::vector<PromptChunk> prompt_chunks_of(const std::string& prompt, const ModelFacts& model) {
  std::vector<PromptChunk> chunks;
  const TokenView view = view_tokens(prompt, model);
  for (const auto& tokens : view.encoders.front().chunks) {
    chunks.push_back({static_cast<int64_t>(tokens.size()), text_of(tokens)});
  }
  return chunks;
}

std::vector<std::string> unknown_of(const std::string& prompt, const ModelFacts& model) {
  const std::string& known = model.traits.known_words;
  return known.empty() ? std::vector<std::string>() : unknown_words(prompt, known);
}

}  // namespace

std::vector<PromptView> view_prompts(const Request& request, const ModelFacts& model) {
  const bool has_uncond =
      !is_neutral_scale(*request.cfg_scale) || find_sampler(request.sampler).needs.uncond;
  const std::string& negative = request.negative_prompt;
  return {
      {"prompt", true, prompt_chunks_of(request.prompt, model), unknown_of(request.prompt, model)},
      {"negative prompt", has_uncond, prompt_chunks_of(negative, model),
       unknown_of(negative, model)}};
}

Table prompt_table(const std::vector<PromptView>& views) {
  Table table{{{"part"}, {"chunk", Align::kRight}, {"tokens", Align::kRight}, {"text"}, {"note"}},
              {}};
  for (const PromptView& view : views) {
    std::string note = view.is_used ? "" : "not used at CFG scale 1";
    if (!view.unknown.empty()) {
      note +=
          fmt::format("{}never seen: {}", note.empty() ? "" : "; ", fmt::join(view.unknown, ", "));
    }
    for (size_t i = 0; i < view.chunks.size(); ++i) {
      const PromptChunk& chunk = view.chunks[i];
      table.rows.push_back({i == 0 ? view.role : "", std::to_string(i + 1),
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
  return {
      {"part", view.role}, {"used", view.is_used}, {"chunks", chunks}, {"unknown", view.unknown}};
}

}  // namespace fourstep
