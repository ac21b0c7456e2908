#pragma once
// What the student is asked for during distillation.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/emoji_data.h"
#include "distill/config.h"

namespace fourstep {

/// Each iteration's batch depends on the seed and the iteration alone.
class PromptSource {
 public:
  /// Throws Error when a file is missing or empty.
  explicit PromptSource(const DistillConfig& config);

  std::vector<std::string> prompts(int64_t iteration) const;

  /// The same `count` prompts at each call, for sheets.
  std::vector<std::string> examples(int64_t count) const;

 private:
  DistillConfig config_;
  std::optional<EmojiData> emoji_;
  std::vector<std::string> lines_;
};

}  // namespace fourstep
