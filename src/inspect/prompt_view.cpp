#include "inspect/prompt_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/text_tools.h"
#include "inspect/token_view.h"
#include "pipeline/prompt_plan.h"
#include "text/known_words.h"
#include "text/prompt_rules.h"

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

std::vector<PromptChunk> prompt_chunks_of(const std::string& prompt, const ModelFacts& model,
                                          Dialect dialect) {
  std::vector<PromptChunk> chunks;
  const TokenView view = view_tokens(prompt, model, dialect);
  for (const auto& tokens : view.encoders.front().chunks) {
    chunks.push_back({static_cast<int64_t>(tokens.size()), text_of(tokens)});
  }
  return chunks;
}

std::vector<std::string> unknown_of(const std::string& prompt, const ModelFacts& model,
                                    Dialect dialect) {
  const std::string& known = model.traits.known_words;
  const std::string words = plain_words(prompt, prompt_rules(dialect).syntax);
  return known.empty() ? std::vector<std::string>() : unknown_words(words, known);
}

/// "0-2, 4": the calls of the stages that have something; empty when all have it.
std::string calls_of(const TextPlan& plan, const std::function<bool(const StageTexts&)>& has) {
  if (std::all_of(plan.stages.begin(), plan.stages.end(), has)) return "";
  std::vector<std::pair<int64_t, int64_t>> ranges;
  int64_t first = 0;
  for (const StageSpan& span : plan.spans) {
    const bool continues = !ranges.empty() && ranges.back().second == first - 1;
    if (has(plan.stages[span.stage])) {
      if (!continues) ranges.emplace_back(first, 0);
      ranges.back().second = span.last_call;
    }
    first = span.last_call + 1;
  }
  std::vector<std::string> calls;
  for (const auto& [from, to] : ranges) {
    calls.push_back(from == to ? std::to_string(from) : fmt::format("{}-{}", from, to));
  }
  return join_first(calls);
}

std::string note_of(const PromptView& view) {
  std::vector<std::string> notes;
  if (!view.is_used) notes.emplace_back("not used at CFG scale 1");
  if (!view.calls.empty()) notes.push_back("calls " + view.calls);
  if (view.weight != 1) notes.push_back(fmt::format("weight {}", view.weight));
  if (!view.unknown.empty()) {
    notes.push_back(fmt::format("never seen: {}", fmt::join(view.unknown, ", ")));
  }
  return fmt::format("{}", fmt::join(notes, "; "));
}

}  // namespace

std::vector<PromptView> view_prompts(const Request& request, const ModelFacts& model) {
  const Dialect dialect = dialect_from_name(request.dialect);
  const TextPlan plan = plan_texts(request);
  std::vector<PromptView> views;
  std::set<std::pair<std::string, std::string>> seen;  // role and text
  const auto add = [&](const char* role, bool is_used, const WeightedText& text, auto has) {
    if (!seen.emplace(fmt::format("{} {}", role, text.weight), text.text).second) return;
    views.push_back({role, calls_of(plan, has), text.weight, is_used,
                     prompt_chunks_of(text.text, model, dialect),
                     unknown_of(text.text, model, dialect)});
  };
  for (const StageTexts& texts : plan.stages) {
    for (const WeightedText& part : texts.parts) {
      add("prompt", true, part, [&](const StageTexts& stage) {
        return std::find(stage.parts.begin(), stage.parts.end(), part) != stage.parts.end();
      });
    }
    add("negative prompt", uses_negative(request, texts), {texts.negative, 1},
        [&](const StageTexts& stage) { return stage.negative == texts.negative; });
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
  return {{"part", view.role},    {"calls", view.calls}, {"weight", view.weight},
          {"used", view.is_used}, {"chunks", chunks},    {"unknown", view.unknown}};
}

}  // namespace fourstep
