#pragma once
// What the network is shown, and at which of its calls.

#include <cstdint>
#include <optional>
#include <vector>

#include "text/conditioning.h"

namespace fourstep {

/// One part of "a AND b".
struct PromptPart {
  Conditioning cond;
  double weight = 1;
};

/// What the network is shown during one stage. Every Conditioning has one row, for all images of a
/// batch, or one row for each image. Where time_ids are undefined, the network is told the size of
/// the run's pictures.
struct Prompts {
  Conditioning cond;                    ///< of the first part
  std::optional<Conditioning> uncond;   ///< absent where it has no influence
  std::optional<Conditioning> nag;      ///< what NAG leads away from; absent without NAG
  std::optional<Conditioning> empty;    ///< of the empty prompt; absent without Perp-Neg
  double weight = 1;                    ///< of the first part
  std::vector<PromptPart> others = {};  ///< the further parts

  bool has_parts() const { return weight != 1 || !others.empty(); }
  double total_weight() const {
    double total = weight;
    for (const PromptPart& part : others) total += part.weight;
    return total;
  }
};

/// A stage begins after the previous one and holds up to and including a call, counted from 0.
struct StageSpan {
  int64_t last_call = 0;
  size_t stage = 0;
  bool operator==(const StageSpan&) const = default;
};

/// The stage of a call; the last one for calls beyond the end. spans: by rising last_call, not
/// empty.
inline size_t stage_at(const std::vector<StageSpan>& spans, int64_t call) {
  for (const StageSpan& span : spans) {
    if (call <= span.last_call) return span.stage;
  }
  return spans.back().stage;
}

}  // namespace fourstep
