#pragma once
// What becomes of a request's prompts before the text encoders read them, as a table and JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "inspect/model_facts.h"
#include "pipeline/request.h"
#include "report/table.h"

namespace fourstep {

struct PromptChunk {
  int64_t num_tokens = 0;  ///< of 75
  std::string text;        ///< as the vocabulary spells it, with blanks between words
};

/// A part of the prompt, or the negative prompt, during some calls of the network.
struct PromptView {
  std::string role;   ///< "prompt", "negative prompt"
  std::string calls;  ///< "0-2, 4"; empty: all
  double weight = 1;  ///< of a part of "a AND b"
  bool is_used = true;
  std::vector<PromptChunk> chunks;
  std::vector<std::string> unknown;  ///< words that the model has never seen, where its file tells
};

/// The prompt's parts and the negative prompt, each text of their schedules once (see plan_texts()). request: resolved.
std::vector<PromptView> view_prompts(const Request& request, const ModelFacts& model);

/// One row per chunk.
Table prompt_table(const std::vector<PromptView>& views);

nlohmann::ordered_json json_from(const PromptView& view);

}  // namespace fourstep
