#pragma once
// What a request's prompts become.

#include <filesystem>
#include <vector>

#include "guidance/prompts.h"

namespace fourstep {

struct PromptPlan {
  std::vector<Prompts> stages;
  std::vector<StageSpan> spans;
  /// Files of the textual inversions that the texts use, each once, stage by stage.
  std::vector<std::filesystem::path> inversions = {};
};

}  // namespace fourstep
