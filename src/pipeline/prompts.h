#pragma once
// What a request's prompts become: what the network is shown, and at which of its calls.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "text/conditioning.h"

namespace fourstep {

/// One part of "a AND b".
struct PromptPart {
  Conditioning cond;
  double weight = 1;
};

/// What the network is shown during one stage.
struct Prompts {
  Conditioning cond;                    ///< of the first part
  std::optional<Conditioning> uncond;   ///< absent where it has no influence
  std::optional<Conditioning> nag;      ///< what NAG leads away from; absent without NAG
  std::optional<Conditioning> empty;    ///< of the empty prompt; absent without Perp-Neg
  double weight = 1;                    ///< of the first part
  std::vector<PromptPart> others = {};  ///< the further parts

  bool has_parts() const { return weight != 1 || !others.empty(); }
  double total_weight() const;
};

/// A stage begins after the previous one and holds up to and including a call, counted from 0.
struct StageSpan {
  int64_t last_call = 0;
  size_t stage = 0;
  bool operator==(const StageSpan&) const = default;
};

/// The stage of a call; the last one for calls beyond the end. spans: by rising last_call, not empty.
size_t stage_at(const std::vector<StageSpan>& spans, int64_t call);

struct PromptPlan {
  std::vector<Prompts> stages;
  std::vector<StageSpan> spans;
  /// Files of the textual inversions that the texts use, each once, stage by stage.
  std::vector<std::filesystem::path> inversions = {};
};

}  // namespace fourstep
