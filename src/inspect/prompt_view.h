#pragma once
// What becomes of a request's prompts before the text encoders read them, as a table and JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "inspect/encoded_texts.h"
#include "report/table.h"

namespace fourstep {

struct PromptChunk {
  int64_t num_tokens = 0;  ///< of 75
  std::string text;        ///< with blanks between words
};

struct PromptView {
  EncodedTextUse use;
  std::vector<PromptChunk> chunks;
  std::vector<std::string> unknown;  ///< words that the model has never seen, where its file tells
};

/// Of encoded_texts().
std::vector<PromptView> view_prompts(const ResolvedRequest& request, const ModelFacts& model);

/// One row per chunk.
Table prompt_table(const std::vector<PromptView>& views);

nlohmann::ordered_json json_from(const PromptView& view);

}  // namespace fourstep
