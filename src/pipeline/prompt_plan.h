#pragma once
// From the prompts of a request to what the network is shown at each of its calls.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "pipeline/models.h"
#include "pipeline/request.h"
#include "text/conditioning.h"
#include "text/emphasis.h"

namespace fourstep {

/// The stage that begins after the previous one and holds up to and including a call, counted from 0.
struct StageSpan {
  int64_t last_call = 0;
  size_t stage = 0;
  bool operator==(const StageSpan&) const = default;
};

/// The stage of a call; the last one for calls beyond the end. spans: by rising last_call, not empty.
size_t stage_at(const std::vector<StageSpan>& spans, int64_t call);

/// The texts of one stage, as the encoders take them.
struct StageTexts {
  std::vector<WeightedText> parts;  ///< between the words AND; at least one
  std::string negative;
  bool operator==(const StageTexts&) const = default;
};

struct TextPlan {
  std::vector<StageTexts> stages;  ///< no two are equal
  std::vector<StageSpan> spans;
};

/// Takes AND, schedules and network tags apart by the grammar of the request's dialect; of the negative prompt
/// schedules alone, as A1111 does. Numbers in schedules count calls: twice the steps for samplers that A1111 calls of
/// second order. request: resolved.
TextPlan plan_texts(const Request& request);

/// One part of "a AND b".
struct PromptPart {
  Conditioning cond;
  double weight = 1;
};

/// What the network is shown during one stage.
struct Prompts {
  Conditioning cond;                   ///< of the first part
  std::optional<Conditioning> uncond;  ///< absent where it has no influence
  double weight = 1;                   ///< of the first part
  std::vector<PromptPart> others = {};

  double total_weight() const;
};

struct PromptPlan {
  std::vector<Prompts> stages;
  std::vector<StageSpan> spans;
};

/// Texts that were encoded before, of requests that treat them alike.
struct EncodingCache {
  std::string settings;  ///< what the encodings depend on besides their text
  std::map<std::string, Conditioning> by_text;
};

/// Encodes all texts of a resolved request, each once. Loads the text encoders where they are not;
/// models.free_text_encoders() lets them go afterwards. cache: emptied when it does not fit.
/// Throws InvalidRequest for a clip_skip the model cannot do and for embeddings that are not there.
PromptPlan encode_prompts(Models& models, const Request& request, const Events& events,
                          EncodingCache& cache);
PromptPlan encode_prompts(Models& models, const Request& request, const Events& events);

}  // namespace fourstep
